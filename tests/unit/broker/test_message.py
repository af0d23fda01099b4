"""Messages keep their publisher's bytes, also where the broker changes a header beside them."""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.fields import encode_short_string, split_table
from rpc.amqp.codec.properties import EXPIRATION, HEADERS, encode_properties, join_properties, split_properties
from rpc.broker.message import OVERHEAD, Message
from rpc.errors import CodecError
from rpc.messages import Properties

ROUTING = encode_short_string("x") + encode_short_string("k")

FIELDS = {  # such as this project's own encoder does not write
    "octet": b"B\xff",
    "short": b"s\xff\xfe",
    "float": b"f\x3f\xc0\x00\x00",
    "nan": b"d\x7f\xf8" + bytes(6),
    "small in 64 bits": b"l" + bytes(7) + b"\x01",
    "no text": b"S\x00\x00\x00\x02\xff\xfe",
    "array": b"A\x00\x00\x00\x03Vt\x01",
    "time": b"T\x00\x00\x01\x8b\xcf\xe5\x68\x00",
}


def message(properties: bytes, body: bytes = b"body", routing: bytes = ROUTING) -> Message:
    """A message with these properties."""
    return Message(routing, properties, body, split_properties(properties))


def table(fields: dict[str, bytes]) -> bytes:
    """The bytes of a table."""
    content = b"".join(encode_short_string(name) + value for name, value in fields.items())
    return struct.pack(">L", len(content)) + content


class MessageTests(SynchronousTestCase):
    """Message."""

    def setUp(self) -> None:
        every = Properties("t", "e", {}, 2, 9, "c", "r", "5", "m", 7, "y", "guest", "a", "l")
        self.parts = [*split_properties(encode_properties(every))]
        self.parts[HEADERS] = table(FIELDS)
        self.original = message(join_properties(self.parts))

    def test_adding_a_header_keeps_the_other_bytes(self) -> None:
        """In their order, also in encodings that this codec does not write."""
        changed = self.original.changed({"x-new": 1})
        self.assertEqual(changed.headers, table({**FIELDS, "x-new": b"I\x00\x00\x00\x01"}))
        parts = split_properties(changed.properties)
        self.assertEqual(
            [part for place, part in enumerate(parts) if place != HEADERS],
            [part for place, part in enumerate(self.parts) if place != HEADERS],
        )
        self.assertEqual((changed.body, changed.routing), (b"body", ROUTING))

    def test_changed_returns_a_copy(self) -> None:
        """The original may be in other queues."""
        before = self.original.properties
        self.original.changed({"octet": None}, without=["nan"], routing=b"\x00\x00")
        self.assertEqual((self.original.properties, self.original.headers), (before, table(FIELDS)))
        self.assertEqual((self.original.exchange, self.original.routing_key), ("x", "k"))

    def test_changed_removes_headers(self) -> None:
        """A missing one is no error. Other properties stay."""
        changed = self.original.changed({}, without=["nan", "not there"])
        assert changed.headers is not None
        self.assertEqual([*split_table(changed.headers)], [name for name in FIELDS if name != "nan"])
        self.assertEqual(changed.expiration, 5)

    def test_changed_routing_removes_the_expiration(self) -> None:
        """And no other property."""
        changed = self.original.changed({}, routing=encode_short_string("dlx") + encode_short_string("dead"))
        parts = [*self.parts]
        parts[EXPIRATION] = None
        self.assertEqual((changed.properties, changed.expiration), (join_properties(parts), None))
        self.assertEqual((changed.exchange, changed.routing_key), ("dlx", "dead"))
        self.assertTrue(changed.persistent)

    def test_changed_adds_the_first_header(self) -> None:
        """A message without headers gets a table."""
        bare = message(b"\x00\x00")
        self.assertEqual((bare.decoded_headers(), bare.priority, bare.expiration), ({}, 0, None))
        self.assertFalse(bare.persistent)
        self.assertEqual(bare.changed({"a": True}).decoded_headers(), {"a": True})

    def test_keeps_malformed_headers(self) -> None:
        """They are decoded only when they are needed."""
        broken = message(b"\x20\x00" + table({"a": b"?"}))
        self.assertRaises(CodecError, broken.decoded_headers)
        self.assertRaises(CodecError, broken.changed, {"b": 1})

    def test_size_counts_body_properties_and_overhead(self) -> None:
        """In bytes."""
        self.assertEqual(message(b"\x00\x00", b"12345").size, 7 + OVERHEAD)

    def test_names_may_be_any_bytes(self) -> None:
        """Exchange and routing key need not be UTF-8."""
        odd = message(b"\x00\x00", routing=b"\x01\xff\x02\xc3\xa9")
        self.assertEqual((odd.exchange, odd.routing_key), ("\udcff", "é"))
