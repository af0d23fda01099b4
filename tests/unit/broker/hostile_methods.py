"""Steps of a hostile client after its login: methods with valid and invalid arguments, in any order.

Names come from small pools, so that later steps find the declarations of earlier ones.
"""

from __future__ import annotations

import struct
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, TypeAlias

from hypothesis import strategies as st

from rpc.amqp.codec.methods import encode_arguments
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.codec.spec import load_spec
from rpc.messages import Properties
from tests.unit.amqp.peer import BODY, HEADER, HEARTBEAT, METHOD, content, frame
from tests.unit.broker.hostile_case import REPLY_TO, SERVICE

Step: TypeAlias = "bytes | float | bool | None"
"""Bytes to send, seconds to pass, whether to read from now on, or the socket's end."""

LONG = "é" * 127
BAD = "\udcff"
QUEUES, ODD_QUEUES = ["q1", "q2", "q3"], ["", SERVICE, REPLY_TO, f"{REPLY_TO}.forged", "amq.q", LONG, BAD, BAD * 255]
EXCHANGES = ["e1", "e2", "e3", "amq.topic", "amq.headers", "amq.fanout"]
ODD_EXCHANGES = ["", "amq.rabbitmq.trace", "amq.e", LONG, BAD]
KEYS = ["q1", "q2", "q3", "a.b", "#"]
ODD_KEYS = ["", SERVICE, "*.#.#.b", "#.a." * 63, "#." * 127, f"{REPLY_TO}.forged", LONG, BAD]
MANY_WORDS = "a." * 127
TAGS, ODD_TAGS = ["t1", "t2"], ["", "x" * 255, BAD * 255]


def mostly(usual: list[str], odd: list[str]) -> st.SearchStrategy[str]:
    """One of the usual values, seldom an odd one: else hardly a step would lead to another."""
    return st.sampled_from(usual * (8 * len(odd) // len(usual) + 1) + odd)


numbers = st.sampled_from([0, 0, 1, 1, 2, 1000, 255, 256, -1, -(2**63), 2**62, 2**63 - 1, 2**31])
dead_letters = mostly(["", "e1", "e2", "e3", "amq.fanout"], ["none", BAD, LONG * 3])
junk: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        numbers,
        st.booleans(),
        st.none(),
        st.sampled_from(["", "a", LONG * 9, b"\xff", 0.5, float("inf"), Decimal("1E-255")]),
        st.just(datetime(2200, 1, 1, tzinfo=timezone.utc)),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["queue", "count", "é"]), inner),
    max_leaves=5,
)

right_arguments = st.fixed_dictionaries(
    {},
    optional={
        "x-message-ttl": st.sampled_from([0, 0, 1, 1000, 2**62 - 1]),
        "x-expires": st.sampled_from([1, 1000, 2**62 - 1]),
        "x-max-length": st.sampled_from([0, 1, 2, 2**63 - 1]),
        "x-max-length-bytes": st.sampled_from([0, 1, 100]),
        "x-overflow": st.sampled_from(["drop-head", "reject-publish", "reject-publish-dlx"]),
        "x-dead-letter-exchange": dead_letters,
        "x-max-priority": st.sampled_from([0, 1, 255]),
        "x-single-active-consumer": st.booleans(),
        "x-queue-type": st.sampled_from(["classic", "quorum"]),
        "x-delivery-limit": st.integers(0, 2),
    },
)
any_arguments = st.dictionaries(
    st.sampled_from(
        [
            "x-message-ttl",
            "x-expires",
            "x-max-length",
            "x-max-priority",
            "x-overflow",
            "x-dead-letter-exchange",
            "x-dead-letter-routing-key",
            "x-queue-type",
            "x-delivery-limit",
            "x-priority",
            "alternate-exchange",
            "x-match",
            "x-other",
            LONG,
        ]
    ),
    junk | dead_letters,
    max_size=3,
)
bindings = st.fixed_dictionaries(
    {}, optional={"x-match": st.sampled_from(["all", "any", "any-with-x", "all-with-x", "some", 1]), "n": junk}
)
exchange_arguments = st.fixed_dictionaries({}, optional={"alternate-exchange": mostly(EXCHANGES, ODD_EXCHANGES)})
tables = st.one_of(right_arguments, right_arguments, bindings, exchange_arguments, st.just({}), any_arguments)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bit": st.booleans(),
    "octet": st.integers(0, 255),
    "short": st.sampled_from([0, 1, 2, 10, 65535]),
    "long": st.sampled_from([0, 0, 1, 2**32 - 1]),
    "longlong": st.one_of(st.integers(0, 6), st.just(2**64 - 1)),
    "shortstr": mostly(KEYS, ODD_KEYS),
    "longstr": st.binary(max_size=9),
    "table": tables,
    "queue": mostly(QUEUES, ODD_QUEUES),
    "exchange": mostly(EXCHANGES, ODD_EXCHANGES),
    "source": mostly(EXCHANGES, ODD_EXCHANGES),
    "destination": mostly(EXCHANGES, ODD_EXCHANGES),
    "consumer-tag": mostly(TAGS, ODD_TAGS),
    "type": mostly(["fanout", "topic", "headers", "direct"], ["", "x-none"]),
    "immediate": st.just(False),
    "nowait": st.sampled_from([False, False, True]),
    "passive": st.sampled_from([False, False, False, True]),
    "exclusive": st.sampled_from([False, False, True]),
    "internal": st.sampled_from([False, False, True]),
    "prefetch-size": st.sampled_from([0] * 20 + [1]),
}

headers = st.fixed_dictionaries(
    {},
    optional={
        "CC": st.lists(mostly(KEYS, [LONG]), max_size=3) | junk,
        "BCC": st.lists(st.sampled_from(KEYS), max_size=3) | junk,
        "x-death": junk
        | st.lists(st.fixed_dictionaries({"queue": st.sampled_from(QUEUES), "count": numbers, "reason": junk})),
        "x-first-death-reason": junk,
        "x-delivery-count": junk,
        "n": junk,
    },
).filter(lambda table: BAD not in repr(table))
properties = st.one_of(
    st.just(b"\x00\x00"),
    st.builds(
        Properties,
        headers=st.none() | headers,
        expiration=st.sampled_from([None] * 20 + ["0", "1", "1000", "-1", "", "9" * 255, "1x", BAD]),
        priority=st.sampled_from([None, 0, 1, 255]),
        delivery_mode=st.sampled_from([None, 1, 2, 255]),
        reply_to=st.sampled_from([None] * 8 + [REPLY_TO, f"{REPLY_TO}.forged", BAD]),
        user_id=st.sampled_from([None] * 20 + ["guest", "root"]),
    ).map(encode_properties),
)
any_properties = st.integers(0, 20).flatmap(lambda number: properties if number else st.binary(max_size=12))
channels = st.sampled_from([1, 2] * 10 + [3, 0, 65535])
methods = [each for klass in load_spec().classes for each in klass.methods]
often = [
    *["exchange.declare", "exchange.bind", "queue.declare", "queue.bind", "basic.consume", "basic.get"] * 2,
    *["basic.ack", "basic.nack", "basic.reject"] * 2,
    *["basic.ack", "basic.nack", "basic.reject", "basic.qos", "confirm.select", "queue.unbind", "queue.purge"],
    *["basic.recover", "basic.cancel", "queue.delete", "exchange.delete", "exchange.unbind", "channel.close"],
]


@st.composite
def calls(draw: st.DrawFn) -> bytes:
    """A method with arguments that fit their types, in a frame: of those that do something, or any at all."""
    name = draw(st.sampled_from(often))
    called = load_spec().parse_method(name) if draw(st.integers(0, 20)) else draw(st.sampled_from(methods))
    arguments = [draw(VALUES.get(field.name, VALUES[field.type])) for field in called.fields]
    channel = draw(channels)
    return frame(METHOD, channel, encode_arguments(called, arguments))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message that is published, all of it or a part, on one channel or two."""
    channel = draw(channels)
    exchange = draw(st.just("") | VALUES["exchange"])
    named = (0, exchange, draw(VALUES["shortstr"] | st.just(MANY_WORDS)), draw(st.booleans()), False)
    begin = frame(METHOD, channel, encode_arguments(load_spec().parse_method("basic.publish"), named))
    body = draw(st.sampled_from([b"", b"x", b"body", bytes(5000)]))
    frames = [begin, *content(channel, body, properties=draw(any_properties))]
    if not draw(st.integers(0, 20)):
        del frames[draw(st.integers(0, len(frames) - 1))]
    return b"".join(frames)


wrong_frames = st.one_of(
    st.builds(frame, st.sampled_from([METHOD, HEADER, BODY, 4, 8]), channels, st.binary(max_size=20)),
    st.builds(
        lambda channel, size: frame(HEADER, channel, struct.pack(">HHQ", 60, 0, size) + b"\x00\x00"),
        channels,
        st.sampled_from([0, 1, 5, 2**20, 2**63, 2**64 - 1]),
    ),
    st.builds(lambda channel: frame(BODY, channel, b""), channels),
    st.builds(
        lambda kind, size: struct.pack(">BHI", kind, 1, size),
        st.integers(1, 3),
        st.sampled_from([131065, 2**31, 2**32 - 1]),
    ),
    st.just(HEARTBEAT),
)


def steps(*more: st.SearchStrategy[Step]) -> st.SearchStrategy[list[tuple[int, Step]]]:
    """Steps in their order, each with the number of its connection."""
    step: st.SearchStrategy[Step] = st.one_of(
        calls(), calls(), calls(), messages(), messages(), st.sampled_from([0.0, 0.001, 1.0, 100.0]), *more
    )
    return st.lists(st.tuples(st.integers(0, 1), step), min_size=12, max_size=80)
