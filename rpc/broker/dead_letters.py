"""Dead letters: messages published again to their queue's dead-letter exchange, with their history in the header
``x-death`` (RabbitMQ: "Dead Letter Exchanges").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Final

from rpc.amqp.codec.fields import LongLong, encode_short_string
from rpc.broker.arguments import type_name
from rpc.broker.compatibility import Compatibility
from rpc.broker.message import Message
from rpc.broker.protocol_error import ProtocolError
from rpc.reply_codes import PRECONDITION_FAILED

EXPIRED, MAXLEN, REJECTED, DELIVERY_LIMIT = "expired", "maxlen", "rejected", "delivery_limit"

X_DEATH: Final = "x-death"
COPIES: Final = ("CC", "BCC")


def copied_keys(headers: Mapping[str, Any]) -> list[str]:
    """Return further routing keys that a message's headers name (RabbitMQ extension: sender-selected distribution).

    :raises ProtocolError: 406, such a header is no array.
    """
    keys: list[str] = []
    for name in COPIES:
        value = headers.get(name, [])
        if not isinstance(value, list):
            problem = f'{{unacceptable_type_in_header,"{name}",{type_name(value)}}}'
            raise ProtocolError(PRECONDITION_FAILED, f"invalid message: {problem}")
        keys += [key for key in value if isinstance(key, str)]
    return keys


def dead_letter(
    message: Message,
    queue: str,
    reason: str,
    seconds: float,
    exchange: str,
    routing_key: str | None,
    compatibility: Compatibility,
) -> tuple[Message, Sequence[str]]:
    """Return the message as it is published again, and its routing keys.

    :param seconds: since the epoch.
    :param routing_key: of the queue's arguments; ``None``: those it was published with.
    :raises CodecError: a header that is needed cannot be decoded.
    """
    headers = message.decoded_headers()
    keys = [message.routing_key, *copied_keys(headers)]
    death: dict[str, Any] = {
        "count": LongLong(1),
        "reason": reason,
        "queue": queue,
        "time": datetime.fromtimestamp(int(seconds), timezone.utc),
        "exchange": message.exchange,
        "routing-keys": keys,
    }
    if message.expiration is not None:
        death["original-expiration"] = str(message.expiration)
    believed = message.died or compatibility.believes_publishers
    deaths = _with(deaths_of(headers) if believed else [], death)
    changes: dict[str, Any] = {X_DEATH: deaths}
    if not (believed and _has_first_death(headers)):
        changes |= _named("x-first-death-", death)
    if compatibility.writes_last_death:
        changes |= _named("x-last-death-", deaths[0])
    routing = encode_short_string(exchange) + encode_short_string(keys[0] if routing_key is None else routing_key)
    if routing_key is None:
        return message.changed(changes, routing=routing), keys
    return message.changed(changes, without=["CC"], routing=routing), [routing_key]


def _has_first_death(headers: Mapping[str, Any]) -> bool:
    return any(name.startswith("x-first-death-") for name in headers)


def _named(prefix: str, death: dict[str, Any]) -> dict[str, Any]:
    """Return the headers that name one death of the history."""
    return {f"{prefix}{part}": death.get(part, "") for part in ("reason", "queue", "exchange")}


def deaths_of(headers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the history in a message's headers, the latest death first."""
    deaths = headers.get(X_DEATH)
    return [death for death in deaths if isinstance(death, dict)] if isinstance(deaths, list) else []


def _with(deaths: list[dict[str, Any]], death: dict[str, Any]) -> list[dict[str, Any]]:
    """Add a death, the latest first. A repeated pair of queue and reason is counted. RabbitMQ reverses the others."""
    same: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for each in deaths:
        repeated = (each.get("queue"), each.get("reason")) == (death["queue"], death["reason"])
        (same if repeated else others).append(each)
    others = [_counted(each) for each in reversed(others)]
    if not same:
        return [death, *others]
    count = same[0].get("count")
    return [{**same[0], "count": LongLong(count + 1 if isinstance(count, int) else 1)}, *others]


def _counted(death: dict[str, Any]) -> dict[str, Any]:
    """Return a death as RabbitMQ encodes those that it wrote: with a count of 64 bits."""
    written = "time" in death and isinstance(death.get("count"), int)
    return {**death, "count": LongLong(death["count"])} if written else death


def queues_of_cycle(message: Message) -> set[str]:
    """Return the queues to which dead-letter exchanges alone would return a message (RabbitMQ: "Dead Letter
    Exchanges"). A rejection on the way from a queue means that a consumer wanted it so.

    :raises CodecError: the history cannot be decoded.
    """
    queues: set[str] = set()
    for death in deaths_of(message.decoded_headers()):  # the latest first
        if death.get("reason") == REJECTED:
            break
        queue = death.get("queue")
        if isinstance(queue, str):  # a publisher may have made up the history
            queues.add(queue)
    return queues
