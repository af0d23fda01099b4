"""For tests of dead letters: letters as a broker delivers them."""

from __future__ import annotations

from typing import Any

from rpc.amqp.channel import Channel
from rpc.amqp.codec.fields import encode_short_string
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.content import Delivery
from rpc.cli.dead_letters import Letter
from rpc.messages import Properties

NOWHERE: Any = None
"""The channel of letters that nothing is done to."""


def letter(
    number: int = 1,
    properties: Properties | bytes = b"\x00\x00",
    body: bytes = b"",
    channel: Channel = NOWHERE,
) -> Letter:
    """Return the letter of this number, which is also its delivery tag."""
    encoded = properties if isinstance(properties, bytes) else encode_properties(properties)
    routing = encode_short_string("rpc.dead") + encode_short_string("Calculator")
    return Letter.of(number, Delivery(channel, number, False, routing, encoded, body))
