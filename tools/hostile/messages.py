"""Hostile requests to the service Calculator (``idl/calculator.thrift``): bodies and properties."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import attrs
from thrift.Thrift import TMessageType

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import Work
from rpc.amqp.codec.properties import encode_properties
from rpc.envelope import CODECS
from rpc.messages import Properties

FRAME = 131072
"""Bytes: the largest frame of a connection without options."""

Calculator: Any = CalculatorStub
BINARY = CODECS["binary"]

Hostile = tuple[bytes, bytes]
"""Body and encoded properties."""


class MalformedBodies:
    """Random, changed, cut and stretched bodies, one after the other without end. Some of them are valid all the same.

    The same seed gives the same bodies.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        arguments = (
            ("add", Calculator.add_args(1, 2)),
            ("echo", Calculator.echo_args(Work(1, 2, 3, "comment"))),
            ("blob", Calculator.blob_args(b"bytes" * 20)),
        )
        self._good = [
            codec.encode(name, TMessageType.CALL, 1, struct) for codec in CODECS.values() for name, struct in arguments
        ]
        self._changes = itertools.cycle((self._replace, self._cut, self._change, self._stretch))

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        body = bytearray(self._chance.choice(self._good))
        next(self._changes)(body)
        return bytes(body)

    def _replace(self, body: bytearray) -> None:
        body[:] = self._chance.randbytes(self._chance.randrange(200))

    def _cut(self, body: bytearray) -> None:
        del body[self._chance.randrange(len(body)) :]

    def _change(self, body: bytearray) -> None:
        for _ in range(self._chance.randrange(1, 4)):
            body[self._chance.randrange(len(body))] = self._chance.randrange(256)

    def _stretch(self, body: bytearray) -> None:
        place = self._chance.randrange(len(body))
        body[place:place] = self._chance.randbytes(self._chance.randrange(1, 9))


def odd_properties(service: str, reply_queue: str, *, with_arrays: bool = True) -> list[Properties | bytes]:
    """Return unusual properties that RabbitMQ accepts.

    :param with_arrays: also headers with an array that fills a frame. RabbitMQ decodes and encodes its values, too.
    """
    answered = Properties(reply_to=reply_queue)
    json = CODECS["json"].content_type
    odd: list[Properties | bytes] = [
        *(attrs.evolve(answered, content_type=odd) for odd in ("", "text/plain", "\udcff", json.upper(), "é" * 127)),
        *(attrs.evolve(answered, correlation_id=text) for text in ("", "\0", "\udcff" * 255)),
        *(attrs.evolve(answered, message_id=text) for text in ("", "\udc80" * 255)),
        *(attrs.evolve(answered, expiration=text) for text in ("1", "0", "4294967295", "+5", "0" * 250 + "9")),
        *(attrs.evolve(answered, priority=octet, delivery_mode=2) for octet in (0, 9, 255)),
        attrs.evolve(answered, timestamp=2**64 - 1, type="t" * 255, app_id="\udcff", cluster_id="c" * 255),
        attrs.evolve(answered, content_encoding="gzip", user_id="guest"),
        *(Properties(reply_to=queue) for queue in _odd_reply_queues(service)),
        *(attrs.evolve(answered, headers=headers) for headers in _odd_headers(service)),
    ]
    # deeper than the limit of our codec, which therefore cannot write it
    deep = b""
    for _ in range(200):
        deep = b"\x01tF" + len(deep).to_bytes(4, "big") + deep
    odd.append(b"\x20\x00" + len(deep).to_bytes(4, "big") + deep)
    odd.append(b"\x20\x00\x00\x00\x00\x03\x01aV")
    if with_arrays:
        odd += map(_many_values, (b"V", b"A\x00\x00\x00\x00", b"D\x01\x00\x00\x00\x01"))
    odd.append(b"\x00\x00")
    return odd


def _odd_reply_queues(service: str) -> list[str]:
    """Return names that are no reply queue of the peer."""
    direct = "amq.rabbitmq.reply-to"
    return [
        "",
        "nobody",
        "x" * 255,
        "\udcff",
        f"rpc.{service}",
        f"rpc.{service}.dead",
        f"{direct}.",
        f"{direct}.abc",
        f"{direct}.abc.def",
        f"{direct}.g1h2AA9yZXBseUAxMjYxNDA3NzIAAAKwAAAAAGsEqrc=.EefU8xg089hOXOqT",
        f"{direct}.\udcff.\udcff",
    ]


def _odd_headers(service: str) -> list[dict[str, Any]]:
    """Return headers that RabbitMQ itself reads, that fill a frame, or that few codecs know."""
    return [
        {},
        {"": ""},
        {"CC": [f"{service}"], "BCC": ["nobody"]},
        {"CC": [f"{service}"] * 3},
        {"x-death": "none", "x-delivery-count": -1, "x-max-length": 1},
        {"rpc-outcome": "too-large", "rpc-attempt": [], "traceparent": b"\xff"},
        {"n": None, "t": True, "f": 1.5, "l": [[], [[]]], "b": b"\0", "i": 2**63 - 1},
        {f"header {number}": number for number in range(3000)},
        {"x": "x" * (FRAME - 70)},
        {"k" * 128: "\udcff" * 100},
        _nested_table(60),
    ]


def _many_values(value: bytes) -> bytes:
    """Return properties whose only header is an array that fills a frame with encoded values."""
    array = value * ((FRAME - 100) // len(value))
    field = b"\x01aA" + len(array).to_bytes(4, "big") + array
    return b"\x20\x00" + len(field).to_bytes(4, "big") + field


def _nested_table(depth: int) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for _ in range(depth):
        table = {"t": table}
    return table


def costly_bodies() -> list[bytes]:
    """Return valid beginnings with a field that no stub knows: it has to be read past."""
    begun = BINARY.encode("add", TMessageType.CALL, 1, Calculator.add_args(1, 2))[:-1]  # without the stop of the struct
    field = b"\x00\x63"  # number 99
    return [
        begun + b"\x0f" + field + b"\x08\x7f\xff\xff\xff",  # a list of 2**31 - 1 numbers
        begun + b"\x0f" + field + b"\x0c\x00\x00\x80\x00" + b"\x00" * 0x8001,  # a list of 32,768 empty structs
        begun + (b"\x0c" + field) * 5000,  # structs in structs
        begun + b"\x0b" + field + b"\x7f\xff\xff\xff",  # a string of 2 GB
        BINARY.encode("n" * 60_000, TMessageType.CALL, 1, Calculator.zip_args()),  # a name of 60 KB
    ]


def hostile_messages(seed: int, service: str, reply_queue: str, *, with_arrays: bool) -> Iterator[Hostile]:
    """Yield hostile requests without end, all kinds in turn: malformed bodies, costly ones, unusual properties.

    :param with_arrays: see :func:`odd_properties`.
    """
    chance = random.Random(seed)
    malformed = MalformedBodies(seed)
    content_types = [codec.content_type for codec in CODECS.values()]
    unusual = odd_properties(service, reply_queue, with_arrays=with_arrays)
    odd = itertools.cycle([encoded(properties) for properties in unusual])
    costly = itertools.cycle(costly_bodies())
    answered = encoded(Properties(content_type=BINARY.content_type, reply_to=reply_queue))
    good = BINARY.encode("add", TMessageType.CALL, 1, Calculator.add_args(1, 2))
    while True:
        answer_to = chance.choice((None, reply_queue, "nobody"))
        yield next(malformed), encoded(Properties(content_type=chance.choice(content_types), reply_to=answer_to))
        yield next(costly), answered
        yield good, next(odd)
        yield next(malformed), next(odd)


def encoded(properties: Properties | bytes) -> bytes:
    """Return the bytes of properties that may be encoded already."""
    return properties if isinstance(properties, bytes) else encode_properties(properties)
