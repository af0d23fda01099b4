"""Holds the dead letters of a service while a command looks at them, and gives them back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import click
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TimedOut

from rpc.amqp.protocol import AMQPConnection
from rpc.cli.alarm import publishing_connection, unless_blocked
from rpc.cli.dead_queues import DeadQueues
from rpc.cli.dead_renewal import renew
from rpc.cli.running import KNOWN, meaning, open_connection
from rpc.cli.service_queues import lock_dead_letters
from rpc.cli.standard_output import warn
from rpc.errors import AMQPError
from rpc.topology import DeadLetterKind, ServiceTopology
from rpc.uri import BrokerURI

PUT_BACK_SECONDS: Final = 60.0
"""Seconds that the queue has to take letters back. Then the command ends all the same."""

RENEW_SECONDS: Final = 60.0
"""For replacing letters that were delivered often. The next command goes on with the rest."""

NOT_RENEWED: Final = (
    "letters of {} were delivered often, and were not all replaced by copies: {}. The next command tries again. A "
    "quorum queue of RabbitMQ 4 drops a letter at its 21st delivery"
)


@asynccontextmanager
async def holding(
    reactor: Any, broker: BrokerURI, topology: ServiceTopology, kinds: Collection[DeadLetterKind]
) -> AsyncIterator[DeadQueues]:
    """Hold the dead letters on a connection of their own. At the end, those that were not removed are requeued."""
    connection = await open_connection(reactor, broker, "thrift-rpc dead")
    try:
        await lock_dead_letters(connection, topology.dead_queue)
        dead = DeadQueues(reactor, connection, topology, kinds)
        try:
            await dead.look()
            yield dead
        finally:
            await _put_back(reactor, broker, connection, dead)
    finally:
        await connection.close()


async def _put_back(reactor: Any, broker: BrokerURI, connection: AMQPConnection, dead: DeadQueues) -> None:
    """Give the letters back that were not removed. Replace those that the broker may soon drop.

    The work of the command has ended, so a failure is only told.
    """
    try:
        await Deferred.fromCoroutine(dead.put_back()).addTimeout(PUT_BACK_SECONDS, reactor)
    except (AMQPError, TimedOut):  # the broker requeues them when the connection ends
        return
    if not dead.renewable:
        return
    try:
        await Deferred.fromCoroutine(_renewed(reactor, broker, connection, dead)).addTimeout(RENEW_SECONDS, reactor)
    except TimedOut:
        reason = f"not within {RENEW_SECONDS:g} s"
    except KNOWN as error:
        reason = meaning(error)
    except click.ClickException as error:
        reason = error.message
    else:
        return
    warn(NOT_RENEWED.format(", ".join(dead.renewable), reason))


async def _renewed(reactor: Any, broker: BrokerURI, connection: AMQPConnection, dead: DeadQueues) -> None:
    async with publishing_connection(reactor, broker, "thrift-rpc dead renewal") as publishing:
        await unless_blocked(publishing, renew(reactor, connection, publishing, dead.renewable))
