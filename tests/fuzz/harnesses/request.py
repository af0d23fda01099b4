"""Requests, as a worker reads and answers them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
from thrift.Thrift import TMessageType

from rpc.amqp.brokers import BrokerVersion
from rpc.amqp.codec.headers import MOST_READ
from rpc.amqp.codec.properties import decode_properties, encode_properties
from rpc.amqp.content import Delivery
from rpc.envelope import CODECS
from rpc.errors import CodecError
from rpc.headers import CALLER, DELIVERIES, LIVENESS
from rpc.messages import Properties
from rpc.worker.arguments import ArgumentsReader
from rpc.worker.dead_letter import DeadLetter
from rpc.worker.outgoing import copy_properties, keepalive_properties, reply_properties
from rpc.worker.rejection import Rejection
from rpc.worker.request import Request
from tests.fuzz.everything import METHODS, arguments

NOW = 100.0

READER = ArgumentsReader("Everything", most=1000)
LENIENT = ArgumentsReader("Everything", replace=True)


def one(data: bytes) -> None:
    """Properties and body of a request are a call, or a Rejection that can be answered and kept as a dead letter."""
    size = int.from_bytes(data[:2], "big")
    channel: Any = SimpleNamespace(
        client=SimpleNamespace(
            broker=BrokerVersion("RabbitMQ", (4, 0)), credentials=SimpleNamespace(user="worker"), max_content=2**24
        )
    )
    request = Request(Delivery(channel, 1, bool(size & 1), b"\x00\x00", data[2 : 2 + size], data[2 + size :]), NOW)
    assert len(request.headers) <= MOST_READ
    rejection = rejected(request, READER)
    rejected(request, LENIENT)
    if rejection is not None:
        answer = request.reply(TMessageType.EXCEPTION, rejection.answer)
        assert request.codec.read_header(answer)[:3] == (request.name, TMessageType.EXCEPTION, request.seqid)
        letter = DeadLetter.of(request, rejection)
        decode_properties(letter.properties(keeps_caller=True, with_headers=False))
        with_headers(lambda: letter.properties(keeps_caller=True))
    decode_properties(reply_properties(request, NOW, None if rejection is None else rejection.outcome))
    keepalive = keepalive_properties(request, "instance")
    assert keepalive is None or decode_properties(keepalive).headers
    with_headers(lambda: copy_properties(request, {DELIVERIES: 1}, NOW, keeps_caller=True))
    assert request.liveness is None or request.liveness >= 1
    assert request.user_id is None or isinstance(request.user_id, str)
    hash((request.identity, request.message_key, request.app_id))


def rejected(request: Request, reader: ArgumentsReader) -> Rejection | None:
    """Read a request; return why it is rejected, if it is."""
    try:
        method, start = request.read_head("Everything", METHODS)
        reader.read(request, method, start)
    except Rejection as rejection:
        return rejection
    return None


def with_headers(encode: Any) -> None:
    """Encode properties with the headers of a request. Some can be read that cannot be sent, such as NaN."""
    try:
        encoded = encode()
    except CodecError:
        return
    decode_properties(encoded)


def seeds() -> dict[str, bytes]:
    """Return requests with properties of many kinds, in each protocol."""
    properties = {
        "plain": Properties(reply_to="amq.gen-q", correlation_id="1", message_id="1", expiration="5000"),
        "headers": Properties(
            reply_to="amq.gen-q",
            correlation_id="1",
            headers={LIVENESS: 5000, DELIVERIES: 2, CALLER: "guest", "rpc-attempt": 3, "x-delivery-count": 1, "CC": []},
            user_id="worker",
            app_id="app",
        ),
        "many-headers": Properties(reply_to="amq.gen-q", correlation_id="1", headers={"a": [None] * MOST_READ}),
        "other-queue": Properties(reply_to="rpc.Calculator"),
        "direct": Properties(reply_to="amq.rabbitmq.reply-to.g1h2.x=="),
    }
    requests = {}
    for protocol, codec in CODECS.items():
        for name, given in properties.items():
            encoded = encode_properties(attrs.evolve(given, content_type=codec.content_type))
            body = codec.encode("either", TMessageType.CALL, 7, arguments()["either"])
            requests[f"{protocol}-{name}"] = len(encoded).to_bytes(2, "big") + encoded + body
    oneway = CODECS["binary"].encode("tell", TMessageType.ONEWAY, 7, METHODS["tell"].arguments_class())
    return requests | {"oneway": b"\x00\x02\x00\x00" + oneway, "empty": b""}
