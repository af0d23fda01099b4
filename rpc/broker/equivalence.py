"""Checks of a declaration of something that exists already: it must be equivalent (AMQP 0-9-1, queue.declare)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rpc.broker.arguments import ALTERNATE_EXCHANGE, CLASSIC, COMPARED, shown, type_name
from rpc.broker.exchange import Exchange
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.queue import Queue
from rpc.reply_codes import PRECONDITION_FAILED, RESOURCE_LOCKED


@attrs.frozen
class Declared:
    """Properties with which a queue is declared."""

    durable: bool
    exclusive: bool
    auto_delete: bool


def check_exchange(
    there: Exchange, vhost: str, properties: tuple[str, bool, bool, bool], table: Mapping[str, Any]
) -> None:
    """Check that an exchange is declared as it is there.

    :param properties: type, durable, auto-delete and internal.
    :param table: the arguments.
    :raises ProtocolError: 406, it is not.
    """
    what = f"exchange '{there.name}' in vhost '{vhost}'"
    current = (there.type, there.durable, there.auto_delete, there.internal)
    for name, now, received in zip(("type", "durable", "auto_delete", "internal"), current, properties, strict=True):
        check_equivalent(what, name, now, received)
    check_equivalent_argument(what, ALTERNATE_EXCHANGE, there.arguments, table)


def check_queue(there: Queue, vhost: str, declared: Declared, table: Mapping[str, Any]) -> None:
    """Check that a queue is declared as it is there. The caller has checked the owner.

    :param table: the arguments.
    :raises ProtocolError: 406, it is not.
    """
    what = f"queue '{there.name}' in vhost '{vhost}'"
    check_equivalent(what, "durable", there.durable, declared.durable)
    check_equivalent(what, "auto_delete", there.auto_delete, declared.auto_delete)
    for argument in COMPARED:
        check_equivalent_argument(what, argument, there.table, table)


def locked(queue: str, vhost: str) -> ProtocolError:
    """Return the error of a queue that another connection owns (405)."""
    return ProtocolError(
        RESOURCE_LOCKED,
        f"cannot obtain exclusive access to locked queue '{queue}' in vhost '{vhost}'. It could be originally "
        "declared on another connection or the exclusive property value does not match that of the original "
        "declaration.",
    )


def check_equivalent(what: str, name: str, current: object, received: object) -> None:
    """Check that a property is equivalent when something is declared again (AMQP 0-9-1, queue.declare).

    :raises ProtocolError: 406, it is not.
    """
    if current != received or isinstance(current, float) is not isinstance(received, float):
        difference = f"received '{shown(received)}' but current is '{shown(current)}'"
        raise ProtocolError(PRECONDITION_FAILED, f"inequivalent arg '{name}' for {what}: {difference}")


def check_equivalent_argument(what: str, name: str, current: Mapping[str, Any], received: Mapping[str, Any]) -> None:
    """Check that an argument is equivalent when something is declared again. The queue type is classic by default.

    :raises ProtocolError: 406, it is not.
    """
    if name == "x-queue-type":
        current, received = {name: CLASSIC, **current}, {name: CLASSIC, **received}
    if name in current and name in received:
        check_equivalent(what, name, current[name], received[name])
    elif name in current or name in received:
        sides = (_described(table, name) for table in (received, current))
        difference = " but current is ".join(sides)
        raise ProtocolError(PRECONDITION_FAILED, f"inequivalent arg '{name}' for {what}: received {difference}")


def _described(table: Mapping[str, Any], name: str) -> str:
    return f"the value '{shown(table[name])}' of type '{type_name(table[name])}'" if name in table else "none"
