"""The three protocols, by name and by content type."""

from __future__ import annotations

from thrift.protocol.TBinaryProtocol import TBinaryProtocol, TBinaryProtocolAccelerated
from thrift.protocol.TCompactProtocol import TCompactProtocolAccelerated
from thrift.protocol.TProtocol import TProtocolBase
from thrift.Thrift import TApplicationException
from thrift.transport.TTransport import TMemoryBuffer

from rpc.envelope.binary_skim import BinarySkim
from rpc.envelope.codec import Codec
from rpc.envelope.compact_codec import CompactCodec
from rpc.envelope.compact_skim import CompactSkim
from rpc.envelope.fast_binary import AVAILABLE, FastBinaryCodec
from rpc.envelope.json_codec import JSONCodec
from rpc.envelope.limits import CONTAINER_LIMIT, MAX_ELEMENTS, STRING_LIMIT
from rpc.envelope.plain_protocols import PlainBinaryProtocol, PlainCompactProtocol
from rpc.envelope.protocol_codec import NewProtocol, ProtocolCodec
from rpc.errors import UnknownProtocol


def _binary_protocol(transport: TMemoryBuffer) -> TBinaryProtocol:
    return TBinaryProtocolAccelerated(
        transport, string_length_limit=STRING_LIMIT, container_length_limit=CONTAINER_LIMIT
    )


def _compact_protocol(transport: TMemoryBuffer) -> TProtocolBase:
    return TCompactProtocolAccelerated(
        transport, string_length_limit=STRING_LIMIT, container_length_limit=CONTAINER_LIMIT
    )


def _plain_binary_protocol(transport: TMemoryBuffer) -> TBinaryProtocol:
    return PlainBinaryProtocol(transport, string_length_limit=STRING_LIMIT, container_length_limit=CONTAINER_LIMIT)


def _plain_compact_protocol(transport: TMemoryBuffer) -> TProtocolBase:
    return PlainCompactProtocol(transport, string_length_limit=STRING_LIMIT, container_length_limit=CONTAINER_LIMIT)


def _usable(accelerated: NewProtocol, plain: NewProtocol) -> NewProtocol:
    """Without the extension, Thrift's accelerated protocols would take other values than with it."""
    return accelerated if AVAILABLE else plain


def _binary_codec() -> Codec:
    protocol = _usable(_binary_protocol, _plain_binary_protocol)
    general = ProtocolCodec(FastBinaryCodec.content_type, protocol, _plain_binary_protocol, BinarySkim)
    return FastBinaryCodec(general) if AVAILABLE else general


def _compact_codec() -> Codec:
    protocol = _usable(_compact_protocol, _plain_compact_protocol)
    return CompactCodec("application/vnd.apache.thrift.compact", protocol, _plain_compact_protocol, CompactSkim)


CODECS: dict[str, Codec] = {
    "binary": _binary_codec(),
    "compact": _compact_codec(),
    "json": JSONCodec(),
}
"""The codecs by the name of the option ``protocol``."""

_BY_CONTENT_TYPE = {codec.content_type: codec for codec in CODECS.values()}

_BY_FIRST_BYTE = {b"\x82": CODECS["compact"], b"[": CODECS["json"]}
"""The first byte of a compact message is its protocol's id, and JSON is an array (Thrift specification, "Thrift compact
protocol encoding"; ``TJSONProtocol``). Binary begins with 0x80, or without a version with the length of a name.
"""


def codec_for(content_type: str | None, body: bytes) -> Codec:
    """Return the codec of a message.

    :param content_type: compared as media types are: letter case and parameters make no difference (RFC 9110, section
        8.3.1).
    :param body: its first byte tells the protocol of a message without a content type, or with an empty one.
    :raises UnknownProtocol: the content type is none of the three.
    """
    codec = _BY_CONTENT_TYPE.get(content_type or "")
    if codec is not None:
        return codec
    media_type = (content_type or "").partition(";")[0].strip(" \t").lower()
    if not media_type:
        return _BY_FIRST_BYTE.get(body[:1], CODECS["binary"])
    try:
        return _BY_CONTENT_TYPE[media_type]
    except KeyError:
        known = ", ".join(sorted(_BY_CONTENT_TYPE))
        raise UnknownProtocol(f"content type {content_type!r} is none of {known}") from None


def read_application_exception(
    codec: Codec, body: bytes, start: int, replace: bool = False, most: int = MAX_ELEMENTS
) -> TApplicationException:
    """Return the struct of an EXCEPTION message.

    :param replace, most: as in :meth:`rpc.envelope.codec.Codec.read_struct`.
    :raises MalformedMessage: the bytes are no ``TApplicationException``.
    """
    exception: TApplicationException = codec.read_struct(body, start, TApplicationException, replace, most)
    return exception
