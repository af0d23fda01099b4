"""The answers that the gateway makes itself: errors, as the ``TApplicationException`` that every stock client knows.

It also tells the protocols of messages apart. Pure: bytes and values.
"""

from __future__ import annotations

from typing import Final

from thrift.Thrift import TApplicationException, TMessageType

from rpc.envelope import CODECS, Codec
from rpc.errors import InvalidRequest, MessageTooLarge, RPCError

_FIRST_BYTES: Final = {
    0x80: "binary",  # the version of TBinaryProtocol
    0x00: "binary",  # its older form, which begins with the length of the name
    0x82: "compact",  # the id of TCompactProtocol
    0x5B: "json",  # [
}

_TYPES: Final[dict[type[RPCError], int]] = {
    InvalidRequest: TApplicationException.PROTOCOL_ERROR,
    MessageTooLarge: TApplicationException.PROTOCOL_ERROR,
}
"""Types of Thrift by error; that of other errors is ``INTERNAL_ERROR``. ``docs/gateway.md`` has the table."""


def protocol_of(message: bytes) -> str | None:
    """Return the protocol of a message by its first byte; ``None``: it is of none.

    Binary and compact begin with a version (Thrift specification, "Thrift Binary protocol encoding", "Thrift Compact
    protocol encoding"), JSON with an array.
    """
    return _FIRST_BYTES.get(message[0]) if message else None


def exception(codec: Codec, name: str, seqid: int, kind: int, text: str) -> bytes:
    """Return an EXCEPTION message.

    :param kind: one of the types of ``TApplicationException``.
    """
    return codec.encode(name, TMessageType.EXCEPTION, seqid, TApplicationException(kind, text))


def error_answer(codec: Codec, name: str, seqid: int, error: RPCError) -> bytes:
    """Return the EXCEPTION message for the error of a call. Its text begins with the name of the error's class."""
    return exception(codec, name, seqid, type_of(error), error_text(error))


def type_of(error: RPCError) -> int:
    """Return the type of the ``TApplicationException`` that stands for an error."""
    return _TYPES.get(type(error), TApplicationException.INTERNAL_ERROR)


def error_text(error: RPCError) -> str:
    """Return the text of the answer that stands for an error."""
    return f"{type(error).__name__}: {error} ({error.outcome.in_words})"


UNFRAMED: Final = "this port takes framed messages: use TFramedTransport or THeader"


def unframed_answer(first_bytes: bytes) -> bytes | None:
    """Return the answer for a client without frames; ``None``: the bytes do not begin like a message of such a client.

    A message without a frame is only told from a frame when its first byte would make the frame too large.
    """
    protocol = protocol_of(first_bytes)
    if protocol is None or first_bytes[0] == 0:
        return None
    return exception(CODECS[protocol], "", 0, TApplicationException.UNSUPPORTED_CLIENT_TYPE, UNFRAMED)
