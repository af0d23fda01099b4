"""A message in the broker: the publisher's bytes, and the few properties that the broker reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from rpc.amqp.codec.fields import TableView, decode_short_string, encode_field, join_table, split_table
from rpc.amqp.codec.properties import (
    DELIVERY_MODE,
    EXPIRATION,
    HEADERS,
    PRIORITY,
    join_properties,
    split_properties,
)
from rpc.broker.arguments import MAX_MILLISECONDS
from rpc.broker.protocol_error import ProtocolError
from rpc.reply_codes import PRECONDITION_FAILED

OVERHEAD: Final = 512
"""Bytes of memory that a message costs beside its own."""

_PERSISTENT = b"\x02"
_NUMBER = re.compile(rb"[+-]?[0-9]+")
NO_HEADERS: Final[Mapping[str, Any]] = MappingProxyType({})
_EMPTY_TABLE = b"\x00\x00\x00\x00"


class Message:
    """One message, the same object in every queue it is in; not changed once it is routed.

    :ivar routing: exchange and routing key, as in ``basic.deliver``: two short strings.
    :ivar properties: flags and property list.
    :ivar headers: the encoded table of that property, or ``None``.
    :ivar expiration: milliseconds (RabbitMQ extension: per-message TTL), or ``None``.
    :ivar priority: 0 when it has none.
    :ivar size: bytes it is counted with against the broker's memory.
    :ivar died: whether it is a dead letter, so that this broker wrote its header ``x-death``.
    """

    __slots__ = ("body", "died", "expiration", "headers", "persistent", "priority", "properties", "routing", "size")

    def __init__(
        self, routing: bytes, properties: bytes, body: bytes, parts: Sequence[bytes | None], *, died: bool = False
    ) -> None:
        """
        :param parts: `properties`, as :func:`~rpc.amqp.codec.properties.split_properties` has them.
        :raises ProtocolError: 406, the expiration is no number of milliseconds.
        """
        self.routing = routing
        self.properties = properties
        self.body = body
        self.headers = parts[HEADERS]
        expiration, priority, mode = parts[EXPIRATION], parts[PRIORITY], parts[DELIVERY_MODE]
        self.expiration = None if expiration is None else _milliseconds(expiration[1:])
        self.priority = 0 if priority is None else priority[0]
        self.persistent = mode == _PERSISTENT
        self.size = len(body) + len(properties) + OVERHEAD
        self.died = died

    @property
    def exchange(self) -> str:
        """The exchange it was published to."""
        return decode_short_string(self.routing, 0)[0]

    @property
    def routing_key(self) -> str:
        """The routing key it was published with."""
        _, end = decode_short_string(self.routing, 0)
        return decode_short_string(self.routing, end)[0]

    def decoded_headers(self) -> Mapping[str, Any]:
        """Its headers, each decoded when it is read; empty when there are none.

        :raises CodecError: they cannot be split; or later, the header that is read cannot be decoded.
        """
        return NO_HEADERS if self.headers is None else TableView(self.headers)

    def changed(
        self, headers: Mapping[str, Any], *, without: Sequence[str] = (), routing: bytes | None = None
    ) -> Message:
        """Return a copy with further headers, which replace those of the same names. All other bytes stay the same.

        :param without: names of headers to remove.
        :param routing: its new exchange and routing key. The copy is a dead letter then, and has no expiration
            (RabbitMQ: "Dead Letter Exchanges").
        :raises CodecError: its headers cannot be split.
        """
        fields = split_table(self.headers or _EMPTY_TABLE)
        fields = {name: value for name, value in fields.items() if name not in without and name not in headers}
        fields |= {name: encode_field(value) for name, value in headers.items()}
        parts = [*split_properties(self.properties)]
        parts[HEADERS] = join_table(fields)
        if routing is not None:
            parts[EXPIRATION] = None
        died = self.died or routing is not None
        return Message(routing or self.routing, join_properties(parts), self.body, parts, died=died)


def _milliseconds(text: bytes) -> int:
    found = _NUMBER.match(text)
    number = int(found[0]) if found else 0
    if found is None:
        problem = "no_integer"
    elif found.end() != len(text):
        problem = f'{{leftover_string,"{_shown(text[found.end() :])}"}}'
    elif number < 0:
        problem = f"{{value_negative,{number}}}"
    elif number > MAX_MILLISECONDS:
        problem = f"{{value_too_large,{number}}}"
    else:
        return number
    raise ProtocolError(PRECONDITION_FAILED, f"invalid expiration '{_shown(text)}': {problem}")


def _shown(text: bytes) -> str:
    return str(text, "utf-8", "backslashreplace")
