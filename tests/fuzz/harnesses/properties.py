"""The properties of a message."""

from __future__ import annotations

from rpc.amqp.codec.properties import decode_properties, encode_properties, join_properties, split_properties
from rpc.errors import CodecError
from rpc.messages import Properties


def one(data: bytes) -> None:
    """Bytes are properties or a CodecError; properties that can be encoded again are the same, whole or in parts."""
    try:
        parts = split_properties(data)
    except CodecError:
        return
    joined = join_properties(parts)
    assert list(split_properties(joined)) == list(parts)
    try:
        properties = decode_properties(data)
        encoded = encode_properties(properties)
    except CodecError:
        return
    assert repr(decode_properties(joined)) == repr(properties)
    assert repr(decode_properties(encoded)) == repr(properties)


def seeds() -> dict[str, bytes]:
    """Return all properties, those of a request, and none."""
    request = Properties(
        content_type="application/vnd.apache.thrift.binary",
        headers={"tenant": "acme", "rpc-attempt": 2},
        correlation_id="1",
        reply_to="amq.gen-q",
        expiration="5000",
        message_id="1",
    )
    every = Properties(
        "text/plain", "gzip", {}, 2, 9, "c", "r", "1000", "m", 1_767_225_600, "rpc.cancel", "guest", "app", "cluster"
    )
    return {
        "none": b"\x00\x00",
        "request": encode_properties(request),
        "all": encode_properties(every),
        "second-word-of-flags": b"\x80\x01\x00\x00\x01a",
    }
