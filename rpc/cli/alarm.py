"""Work that ends when the broker takes no messages.

During an alarm the broker reads nothing from a connection that publishes (RabbitMQ documentation, "Memory and Disk
Alarms"). So no method that is sent on it is answered, not even ``channel.close``.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from rpc.amqp.protocol import AMQPConnection
from rpc.errors import AMQPError

Result = TypeVar("Result")


class BrokerTakesNothing(AMQPError):
    """The broker has an alarm."""


async def unless_blocked(connection: AMQPConnection, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `work`, which is cancelled when the broker blocks `connection`.

    :param work: when it is cancelled, it must not wait for an answer on `connection`.
    :raises BrokerTakesNothing: the broker has blocked the connection.
    """
    working = Deferred.fromCoroutine(work)
    reasons: list[str] = []

    def changed(reason: str | None) -> None:
        if reason is not None and not reasons:  # a second cancellation would interrupt the work's own cleaning
            reasons.append(reason)
            working.cancel()

    connection.on_blocked = changed
    changed(connection.blocked)
    try:
        return await working
    except CancelledError as error:
        if not reasons:
            raise
        raise BrokerTakesNothing(f"it takes no messages: {reasons[0]}") from error
    finally:
        connection.on_blocked = None
