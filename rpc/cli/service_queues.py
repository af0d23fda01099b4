"""What the verbs ``dead`` and ``queue`` ask about the queues of a service, and the lock on them."""

from __future__ import annotations

import click

from rpc.amqp.protocol import AMQPConnection
from rpc.client.queue_counts import counts_of
from rpc.errors import ChannelClosed
from rpc.reply_codes import RESOURCE_LOCKED
from rpc.topology import exclusive_queue


async def ready_messages(connection: AMQPConnection, queue: str) -> int | None:
    """Return the number of ready messages; ``None``: there is no such queue.

    :raises ChannelClosed: the node of the queue is down (404, too), or another connection has the queue alone (405).
    :raises AMQPError: the connection was lost.
    """
    counts = await counts_of(connection, queue)
    return None if counts is None else counts.ready


def no_such_queue(queue: str) -> click.ClickException:
    """Return the error for a service without queues.

    :param queue: one of them.
    """
    return click.ClickException(
        f"there is no queue {queue} in this virtual host: no worker has served the service here. Give the service's "
        "name, such as Calculator, and see --queue and --broker"
    )


async def lock(connection: AMQPConnection, queue: str, command: str) -> None:
    """Let no other command work on `queue` while `connection` is open.

    The lock is an exclusive queue: another connection cannot declare it (AMQP 0-9-1, queue.declare: 405).

    :param command: which ones take this lock.
    :raises click.ClickException: another command has the lock.
    """
    channel = await connection.open_channel()
    try:
        await channel.declare(exclusive_queue(lock_of(queue)))
    except ChannelClosed as error:
        if error.code != RESOURCE_LOCKED:
            raise
        raise click.ClickException(
            f"another {command} works on {queue}, or waits for an answer: try again when it has ended"
        ) from error


def lock_of(queue: str) -> str:
    """Return the name of the exclusive queue that is the lock on a queue."""
    return f"{queue}.lock"


async def lock_dead_letters(connection: AMQPConnection, dead_queue: str) -> None:
    """Take the :func:`lock` on the dead letters of a service. Both verbs work on them."""
    await lock(connection, dead_queue, "thrift-rpc dead, or queue migrate,")
