"""Replies, as a client reads them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
from thrift.Thrift import TApplicationException, TMessageType

from rpc.amqp.codec.properties import HEADERS, encode_properties, split_properties
from rpc.amqp.content import Delivery
from rpc.client.options import ClientOptions
from rpc.client.replies import read_headers, refusal
from rpc.client.stub_operation import StubOperation
from rpc.envelope import CODECS
from rpc.errors import CodecError, InvalidReply, RPCError
from rpc.headers import MAYBE_EXECUTED, OUTCOME, OVERLOADED
from rpc.messages import Properties
from tests.fuzz.everything import METHODS, arguments

SEQID = 7

OPERATIONS = [
    StubOperation(
        method=method,
        name=name,
        oneway=method.oneway,
        options=ClientOptions(protocol=protocol, invalid_utf8=invalid_utf8),
        service="Everything",
        timeout=30.0,
    )
    for protocol, invalid_utf8 in (("binary", "refuse"), ("compact", "replace"), ("json", "refuse"))
    for name, method in METHODS.items()
]


def one(data: bytes) -> None:
    """Properties and body of a reply are a result, an exception or a refusal, or an InvalidReply in few words."""
    operation = OPERATIONS[(data[0] if data else 0) % len(OPERATIONS)]
    size = int.from_bytes(data[1:3], "big")
    call: Any = SimpleNamespace(operation=operation, seqid=SEQID)
    channel: Any = None
    delivery = Delivery(channel, 1, False, b"", data[3 : 3 + size], data[3 + size :])
    try:
        encoded = split_properties(delivery.encoded_properties)[HEADERS]
    except CodecError:
        return
    try:
        headers = {} if encoded is None else read_headers(call, encoded)
        if OUTCOME in headers:
            assert isinstance(refusal(call, headers, delivery), RPCError)
            return
        result, error = operation.decode(SEQID, delivery.body)
    except InvalidReply as invalid:
        assert len(str(invalid)) < 4000, invalid
        return
    thrown = {TApplicationException, *(kind for _, kind in operation.method.throws)}
    assert error is None or (result is None and type(error) in thrown), error


def seeds() -> dict[str, bytes]:
    """Return results of many types in each protocol, exceptions, and a refusal."""
    plain, found = Properties(), {}
    refused = Properties(headers={OUTCOME: OVERLOADED, MAYBE_EXECUTED: True})
    for place, operation in enumerate(OPERATIONS):
        name, result = operation.name, operation.method.result_class
        given = arguments().get(name)
        if result is None or given is None or name == "shelf":  # its result has another type than its argument
            continue
        value = getattr(given, "value", None)
        answer = result(value) if operation.method.has_result else result()
        found[f"{operation.options.protocol}-{name}"] = _seed(place, plain, TMessageType.REPLY, answer)
        if name == "all":
            thrown = result(bad=given.value.bad)
            found[f"{operation.options.protocol}-thrown"] = _seed(place, plain, TMessageType.REPLY, thrown)
    error = TApplicationException(TApplicationException.INTERNAL_ERROR, "why")
    return found | {
        "error": _seed(0, plain, TMessageType.EXCEPTION, error),
        "refusal": _seed(0, refused, TMessageType.EXCEPTION, error),
    }


def _seed(place: int, properties: Properties, kind: int, struct: Any) -> bytes:
    operation = OPERATIONS[place]
    codec = CODECS[operation.options.protocol]
    encoded = encode_properties(attrs.evolve(properties, content_type=codec.content_type))
    body = codec.encode(operation.name, kind, SEQID, struct)
    return bytes((place,)) + len(encoded).to_bytes(2, "big") + encoded + body
