"""Thrift messages as bytes, in three protocols that are told apart by AMQP content type.

A body is exactly one Thrift message, not framed. Reading any bytes returns a value or raises
:class:`~rpc.errors.MalformedMessage`, in time proportional to their number. Thrift's own decoders raise errors of
nearly any class. A value fits its type in all protocols or in none. The package is pure: bytes in, values out.
"""

from rpc.envelope.codec import REFUSE, REPLACE, Codec, Header, Message, read_value
from rpc.envelope.codecs import CODECS, codec_for, read_application_exception
from rpc.envelope.differences import differences, has_unknown_exception
from rpc.envelope.limits import CONTAINER_LIMIT, MAX_ELEMENTS, MAX_MESSAGE_SIZE, NAME_LIMIT, NUMBER_LIMIT, STRING_LIMIT
from rpc.envelope.misfit import misfit

__all__ = [
    "CODECS",
    "CONTAINER_LIMIT",
    "MAX_ELEMENTS",
    "MAX_MESSAGE_SIZE",
    "NAME_LIMIT",
    "NUMBER_LIMIT",
    "REFUSE",
    "REPLACE",
    "STRING_LIMIT",
    "Codec",
    "Header",
    "Message",
    "codec_for",
    "differences",
    "has_unknown_exception",
    "misfit",
    "read_application_exception",
    "read_value",
]
