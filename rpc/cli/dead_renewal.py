"""Replaces dead letters by copies before the broker drops them.

A quorum queue of RabbitMQ 4 drops a message at its 21st delivery, and each command delivers all letters (RabbitMQ
documentation, "Quorum Queues: Poison Message Handling"). The broker has counted no delivery of a copy. Copies go to the
end of the queue, in the order of their letters. They are published on a connection of their own: during an alarm the
broker reads nothing from it, and letters can be put back all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred

from rpc.amqp.confirmed import ConfirmedPublisher
from rpc.amqp.content import Delivery
from rpc.amqp.protocol import AMQPConnection
from rpc.cli.copies import copy_as_it_is, own_user, publish_copy
from rpc.cli.dead_letters import DeadLetters, Letter

Publish: TypeAlias = Callable[[Delivery], Deferred[None]]


async def renew(reactor: Any, holding: AMQPConnection, publishing: AMQPConnection, queues: Iterable[str]) -> None:
    """Replace the letters at the heads of queues that the broker may soon drop.

    An older letter was delivered at least as often as a newer one. So the first letter that need not be replaced is the
    end. Each letter is acked when the broker has confirmed its copy.

    :param holding: the connection to consume on; `publishing`: another one, see :mod:`rpc.cli.alarm`.
    :raises AMQPError: a connection was lost, or a copy was refused. Letters that are not replaced are still there.
    :raises click.ClickException: another program consumes from a queue.
    """
    own = await own_user(publishing)
    channel = await publishing.open_channel()
    await channel.confirm_select()
    publisher = ConfirmedPublisher(channel)
    channel.on_closed = publisher.lost
    for queue in queues:
        head = DeadLetters(reactor, await holding.open_channel(), queue)
        publish = partial(publish_copy, publisher, queue, copy_of=copy_as_it_is, own=own)
        try:
            await _renew_head(head, publish)
        finally:
            await head.put_back()


async def _renew_head(head: DeadLetters, publish: Publish) -> None:
    await head.look()
    while letters := await head.next_round():
        old = [letter for letter in letters if letter.renewable]
        await _all_ended([maybeDeferred(_replace, head, publish, letter) for letter in old])
        if len(old) < len(letters):
            break
    await head.removed()


async def _all_ended(replacing: list[Deferred[None]]) -> None:
    """Wait for all, also after a failure: a letter whose copy is confirmed later must still be acked.

    :raises AMQPError: the first failure.
    """
    outcomes: list[tuple[bool, Any]] = await DeferredList(replacing, consumeErrors=True)
    for succeeded, outcome in outcomes:
        if not succeeded:
            outcome.raiseException()


def _replace(head: DeadLetters, publish: Publish, letter: Letter) -> Deferred[None]:
    assert letter.content is not None
    return publish(letter.content).addCallback(lambda _: head.remove([letter]))
