"""How many messages a queue has, and how many consumers.

The question is a passive ``queue.declare`` (AMQP 0-9-1, queue.declare). RabbitMQ demands no permission for it, and from
version 4.3 on any of the three (https://github.com/rabbitmq/rabbitmq-server/pull/16272). An error closes its channel
(404 for a queue of another name), so each question has one of its own.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as AnswerTimedOut
from twisted.python.failure import Failure

from rpc.amqp.protocol import AMQPConnection
from rpc.errors import AMQPError, DeclarationRefused
from rpc.interfaces import IClock
from rpc.link import Link
from rpc.topology import existing_queue

LIMIT = 10.0
"""Seconds for the broker's answer."""


@attrs.frozen
class QueueCounts:
    """The broker's counts of a queue.

    :ivar ready: messages that no consumer has. Unacked ones are not told.
    """

    queue: str
    ready: int
    consumers: int


def queue_counts(link: Link, clock: IClock, queue: str) -> Deferred[QueueCounts | None]:
    """Ask the broker about a queue.

    :return: fires with the counts, or with ``None`` when there is no such queue. Fails with
        :class:`~rpc.errors.ChannelClosed` when the user may not look at it (403), another connection has it alone (405)
        or its node is down (404, too), and with another :class:`~rpc.errors.AMQPError` when there is no connection, it
        is lost or blocked, or the broker does not answer.
    """
    asked = Deferred.fromCoroutine(_queue_counts(link, queue)).addTimeout(LIMIT, clock)
    return asked.addErrback(_not_answered, link, queue)


def _not_answered(failure: Failure, link: Link, queue: str) -> Failure:
    if failure.check(AnswerTimedOut):
        _usable(link)  # raises if it is blocked by now
        raise AMQPError(f"the broker does not answer about the queue {queue}")
    return failure


def _usable(link: Link) -> AMQPConnection:
    """Return the open connection.

    :raises AMQPError: there is none, or it is blocked: then RabbitMQ reads nothing from it.
    """
    connection = link.connection
    if connection is None:
        raise AMQPError(f"not connected: {link.problem}")
    if connection.blocked is not None:
        raise AMQPError(f"the broker is blocked: {connection.blocked}")
    return connection


async def _queue_counts(link: Link, queue: str) -> QueueCounts | None:
    return await counts_of(_usable(link), queue)


async def counts_of(connection: AMQPConnection, queue: str) -> QueueCounts | None:
    """Ask on a connection, without a limit of time.

    :return: the counts; ``None``: there is no such queue.
    :raises ChannelClosed: see :func:`queue_counts`.
    :raises AMQPError: the connection was lost, or has no free channel.
    """
    channel = await connection.open_channel()
    try:
        declared = await channel.declare(existing_queue(queue))
    except DeclarationRefused:
        return None
    finally:
        channel.close()
    return QueueCounts(queue, declared.message_count, declared.consumer_count)
