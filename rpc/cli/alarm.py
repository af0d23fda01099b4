"""Connections to publish on, and work that ends when the broker takes no messages.

During an alarm the broker reads nothing from a connection that publishes (RabbitMQ documentation, "Memory and Disk
Alarms"). So no method that is sent on it is answered, not even ``channel.close``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from rpc.amqp.protocol import AMQPConnection
from rpc.cli.running import open_connection
from rpc.errors import AMQPError
from rpc.uri import BrokerURI

CLOSE_SECONDS: Final = 1.0
"""For ``connection.close`` on a publishing connection."""

Result = TypeVar("Result")


class BrokerTakesNothing(AMQPError):
    """The broker has an alarm."""


@asynccontextmanager
async def publishing_connection(reactor: Any, broker: BrokerURI, role: str) -> AsyncIterator[AMQPConnection]:
    """Open a connection to publish on, and close it at the end.

    :param role: see :func:`~rpc.cli.running.open_connection`.
    :raises AMQPError: no host accepted the connection.
    """
    connection = await open_connection(reactor, broker, role)
    try:
        yield connection
    finally:
        await connection.close(within=CLOSE_SECONDS)


async def unless_blocked(connection: AMQPConnection, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `work`, which is cancelled when the broker blocks `connection`.

    :param work: when it is cancelled, it must wait for an answer on `connection` for a limited time only.
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
