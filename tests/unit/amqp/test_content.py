"""Deliveries and returns as values: decoded when asked, and refused by CodecError alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.content import Delivery, Returned
from rpc.errors import CodecError
from rpc.messages import Properties


def delivery(routing: bytes, properties: bytes = b"\x00\x00") -> Delivery:
    """A delivery on no channel."""
    channel: Any = None
    return Delivery(channel, 7, True, routing, properties, b"body")


class ContentTests(SynchronousTestCase):
    """Delivery and Returned."""

    def test_decodes_names_and_properties(self) -> None:
        """Exchange, routing key and properties are decoded, also bytes that are not UTF-8."""
        made = delivery(b"\x02\xc3\xa9\x02\xffk", encode_properties(Properties(reply_to="r", headers={"a": None})))
        self.assertEqual((made.exchange, made.routing_key), ("é", "\udcffk"))
        self.assertEqual(made.properties, Properties(reply_to="r", headers={"a": None}))
        self.assertIs(made.properties, made.properties)
        self.assertEqual((made.delivery_tag, made.redelivered, made.body), (7, True, b"body"))

    def test_return_has_code_and_text(self) -> None:
        """A return has code and text beside the content."""
        made = Returned(312, "NO_ROUTE", b"\x00\x01q", b"\x00\x00", b"")
        self.assertEqual(
            (made.reply_code, made.reply_text, made.exchange, made.routing_key), (312, "NO_ROUTE", "", "q")
        )

    @given(st.binary(max_size=40), st.binary(max_size=40))
    def test_malformed_contents_raise_when_they_are_read(self, routing: bytes, properties: bytes) -> None:
        """Malformed names and properties raise CodecError, and no other error."""
        made = delivery(routing, properties)
        for part in ("exchange", "routing_key", "properties"):
            try:
                getattr(made, part)
            except CodecError:
                continue
