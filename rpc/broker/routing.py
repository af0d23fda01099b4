"""Routing: from an exchange and routing keys to the queues that take a message. Pure: it reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rpc.broker.exchange import HEADERS, Exchange
from rpc.broker.message import Message
from rpc.broker.names import DEFAULT
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.queue import Queue
from rpc.reply_codes import PRECONDITION_FAILED

MAX_EFFORT: Final = 300_000
"""Words of patterns that the further routing keys of one message are compared with: some 40 ms of processor time."""


def route(
    exchanges: Mapping[str, Exchange],
    queues: Mapping[str, Queue],
    exchange: Exchange,
    routing_keys: Iterable[str],
    message: Message | None,
) -> tuple[list[Queue], bool]:
    """Return the queues that a message is routed to, each once; and whether they depend on its headers.

    :param exchanges: all of the virtual host, by name; `queues` likewise.
    :param message: ``None``: one without headers.
    :raises CodecError: its headers are needed, and cannot be decoded.
    :raises ProtocolError: 406, it has so many keys that to compare them with all patterns would take too long.
    """
    keys = [*dict.fromkeys(routing_keys)]
    effort = 0
    found: dict[Queue, None] = {}
    headers: Mapping[str, Any] | None = None
    pending, seen = [exchange], {exchange}
    for current in pending:  # grows meanwhile
        if current.name == DEFAULT:
            found |= dict.fromkeys(queues[key] for key in keys if key in queues)
            continue
        if current.type == HEADERS and headers is None:
            headers = message.decoded_headers() if message is not None else {}
        effort += current.effort * (len(keys) - 1)
        if effort > MAX_EFFORT:
            problem = f"{len(keys)} routing keys are too many for the patterns of exchange '{current.name}'"
            raise ProtocolError(PRECONDITION_FAILED, f"invalid message: {problem}")
        matched = [*dict.fromkeys(current.matching(keys, headers or {}))]
        if not matched and current.alternate is not None and current.alternate in exchanges:
            matched = [exchanges[current.alternate]]
        for destination in matched:
            if isinstance(destination, Queue):
                found[destination] = None
            elif destination not in seen:
                seen.add(destination)
                pending.append(destination)
    return [*found], headers is not None
