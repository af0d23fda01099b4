"""The arguments of queues and exchanges: read and checked, in RabbitMQ's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import attrs

from rpc.broker.compatibility import RABBITMQ_4, Compatibility
from rpc.broker.protocol_error import ProtocolError
from rpc.reply_codes import PRECONDITION_FAILED

DROP_HEAD, REJECT, REJECT_AND_DEAD_LETTER = "drop-head", "reject-publish", "reject-publish-dlx"
CLASSIC, QUORUM = "classic", "quorum"
ALTERNATE_EXCHANGE: Final = "alternate-exchange"

MAX_MILLISECONDS: Final = 10 * 365 * 24 * 60 * 60 * 1000
"""Of any time to live: RabbitMQ's bound, ten years."""

_MAX_PRIORITY = 255
_LIMIT = "x-delivery-limit"


@attrs.frozen
class QueueArguments:
    """The values of a queue's arguments.

    :ivar message_ttl: milliseconds until a ready message expires; ``None``: never.
    :ivar expires: milliseconds until an unused queue is deleted.
    :ivar max_length: ready messages, at most.
    :ivar max_length_bytes: bytes of their bodies, at most.
    :ivar overflow: whether a full queue drops its head or rejects publishes.
    :ivar priorities: the highest priority; 0: none.
    :ivar queue_type: ``"classic"``, or ``"quorum"``: here a durable queue that counts deliveries.
    :ivar single_active: whether one consumer gets all messages until it ends (RabbitMQ: "Single Active Consumer").
    :ivar delivery_limit: how often a quorum queue takes a message back; ``None``: always.
    """

    message_ttl: int | None = None
    expires: int | None = None
    max_length: int | None = None
    max_length_bytes: int | None = None
    overflow: str = DROP_HEAD
    dead_letter_exchange: str | None = None
    dead_letter_routing_key: str | None = None
    priorities: int = 0
    queue_type: str = CLASSIC
    single_active: bool = False
    delivery_limit: int | None = None

    @property
    def bounded(self) -> bool:
        """Whether the queue has a length at most."""
        return self.max_length is not None or self.max_length_bytes is not None


def read_queue_arguments(
    queue: str, table: Mapping[str, Any], compatibility: Compatibility = RABBITMQ_4
) -> QueueArguments:
    """Return the values in `table`. Unknown arguments have no effect, as in RabbitMQ.

    :param queue: the queue's name in error texts.
    :raises ProtocolError: 406, a value is not allowed for its argument.
    """
    checks = {**_CHECKS, _LIMIT: _whole_number} if compatibility.unlimited_deliveries else _CHECKS
    for name, check in checks.items():
        if name in table:
            _check(queue, name, table[name], check)
    if "x-dead-letter-routing-key" in table and "x-dead-letter-exchange" not in table:
        raise _invalid(queue, "x-dead-letter-routing-key", "routing_key_but_no_dlx_defined")
    names = {attribute: table[name] for name, attribute in _ATTRIBUTES.items() if name in table}
    names["delivery_limit"] = _delivery_limit(table, compatibility)
    return QueueArguments(**names)


def _delivery_limit(table: Mapping[str, Any], compatibility: Compatibility) -> int | None:
    """Return how often the queue takes a message back. Only quorum queues have a limit without the argument."""
    without = compatibility.delivery_limit if table.get("x-queue-type") == QUORUM else None
    limit = table.get(_LIMIT, without)
    return None if limit is None or limit < 0 else int(limit)


def check_alternate(exchange: str, table: Mapping[str, Any]) -> None:
    """Check that the name of the alternate exchange is a string.

    :raises ProtocolError: 406, it is not.
    """
    if ALTERNATE_EXCHANGE in table:
        _exchange_name(f"exchange {exchange}", ALTERNATE_EXCHANGE, table[ALTERNATE_EXCHANGE])


def shown(value: object) -> str:
    """Return a value as RabbitMQ's texts show it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def type_name(value: object) -> str:
    """Return RabbitMQ's name of a value's type. All integers are "signedint": the codec does not keep their width."""
    for kind, name in _TYPE_NAMES:
        if isinstance(value, kind):
            return name
    return "void"


_TYPE_NAMES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "bool"),
    (int, "signedint"),
    (str, "longstr"),
    (bytes, "binary"),
    (float, "double"),
    (list, "array"),
    (dict, "table"),
    (datetime, "timestamp"),
    (Decimal, "decimal"),
)

Check = Callable[[Any], "str | None"]


def _check(queue: str, name: str, value: object, check: Check) -> None:
    if name == "x-dead-letter-exchange":
        _exchange_name(f"queue {queue}", name, value)
    elif (problem := check(value)) is not None:
        raise _invalid(queue, name, problem)


def _exchange_name(what: str, name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ProtocolError(PRECONDITION_FAILED, f"invalid type '{type_name(value)}' for arg '{name}' in {what}")


def _invalid(queue: str, name: str, problem: str) -> ProtocolError:
    return ProtocolError(PRECONDITION_FAILED, f"invalid arg '{name}' for queue {queue}: {problem}")


def check_match(table: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Check that ``x-match`` of a binding to a headers exchange is a known value.

    :raises ProtocolError: 406, it is not.
    """
    how = table.get("x-match", allowed[0])
    if not isinstance(how, str):
        problem = f"type {type_name(how)} (value {shown(how)}); expected longstr"
    elif how not in allowed:
        written = f'<<"{how}">>' if how else "<<>>"
        problem = f"value {written}; expected {', '.join(allowed[:-1])}, or {allowed[-1]}"
    else:
        return
    raise ProtocolError(PRECONDITION_FAILED, f"Invalid x-match field {problem}")


def check_priority(queue: str, table: Mapping[str, Any]) -> int:
    """Return a consumer's priority (RabbitMQ extension); 0, when it has none.

    :param queue: how errors name the queue.
    :raises ProtocolError: 406, it is no whole number.
    """
    priority = table.get("x-priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise _invalid(queue, "x-priority", f'"expected integer, got {type_name(priority)}"')
    return priority


def _whole_number(value: Any) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return None if whole else f'"expected integer, got {type_name(value)}"'


def _number(least: int = 0, most: int | None = None, above: str = "value_too_large") -> Check:
    def check(value: Any) -> str | None:
        if (problem := _whole_number(value)) is not None:
            return problem
        if value < 0:
            return f"{{value_negative,{value}}}"
        if value < least:
            return f"{{value_zero,{value}}}"
        return f"{{{above},{value}}}" if most is not None and value > most else None

    return check


def _text(problem: Callable[[str], str], *allowed: str) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return f"{{unacceptable_type,{type_name(value)}}}"
        return problem(value) if allowed and value not in allowed else None

    return check


_CHECKS: Mapping[str, Check] = {  # in RabbitMQ's order: an error names the first invalid argument
    "x-expires": _number(least=1, most=MAX_MILLISECONDS),
    "x-message-ttl": _number(most=MAX_MILLISECONDS),
    "x-dead-letter-exchange": _text(str),
    "x-dead-letter-routing-key": _text(str),
    "x-max-length": _number(),
    "x-max-length-bytes": _number(),
    "x-max-priority": _number(most=_MAX_PRIORITY, above="max_value_exceeded"),
    "x-overflow": _text(lambda _: "invalid_overflow", DROP_HEAD, REJECT, REJECT_AND_DEAD_LETTER),
    "x-queue-mode": _text(lambda value: f"\"unsupported queue mode '{value}'\"", "default", "lazy"),
    "x-single-active-consumer": lambda value: (
        None if isinstance(value, bool) else f"{{unacceptable_type,{type_name(value)}}}"
    ),
    "x-queue-type": _text(lambda value: f"\"unsupported queue type '{value}'\"", CLASSIC, QUORUM),
    _LIMIT: _number(),
}

_ATTRIBUTES = {
    "x-message-ttl": "message_ttl",
    "x-expires": "expires",
    "x-max-length": "max_length",
    "x-max-length-bytes": "max_length_bytes",
    "x-overflow": "overflow",
    "x-dead-letter-exchange": "dead_letter_exchange",
    "x-dead-letter-routing-key": "dead_letter_routing_key",
    "x-max-priority": "priorities",
    "x-queue-type": "queue_type",
    "x-single-active-consumer": "single_active",
    _LIMIT: "delivery_limit",
}
COMPARED: Final = (*_ATTRIBUTES, "x-queue-mode")
"""Arguments that must be the same when a queue is declared again."""
