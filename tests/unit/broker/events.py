"""The events of a client of the embedded broker: its frames, as methods with their messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rpc.amqp.codec.properties import decode_properties
from tests.unit.amqp.peer import BODY, HEADER, METHOD
from tests.unit.broker.peer import Client


@attrs.frozen
class Event:
    """A method, with the body and the headers of its message."""

    name: str
    channel: int
    args: tuple[Any, ...]
    body: bytes = b""
    headers: Mapping[str, Any] = attrs.Factory(dict)


def events(client: Client) -> list[Event]:
    """The events that the client has received since the last call."""
    found: list[Event] = []
    for frame in client.written():
        if frame.kind == METHOD:
            found.append(Event(frame.name, frame.channel, frame.args))
        elif frame.kind == HEADER:
            headers = decode_properties(frame.payload[12:]).headers or {}
            found[-1] = attrs.evolve(found[-1], headers=headers)
        elif frame.kind == BODY:
            found[-1] = attrs.evolve(found[-1], body=found[-1].body + frame.payload)
    return found
