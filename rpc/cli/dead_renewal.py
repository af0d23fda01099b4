"""Replaces dead letters by copies before the broker drops them.

A quorum queue of RabbitMQ 4 drops a message at its 21st delivery, and each command delivers all letters (RabbitMQ
documentation, "Quorum Queues: Poison Message Handling"). The broker has counted no delivery of a copy. Copies go to the
end of the queue, in the order of their letters.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults, maybeDeferred

from rpc.amqp.confirmed import ConfirmedPublisher
from rpc.amqp.protocol import AMQPConnection
from rpc.cli.copies import copy_as_it_is, publish_copy
from rpc.cli.dead_letters import DeadLetters, Letter


async def renew(reactor: Any, connection: AMQPConnection, queue: str) -> None:
    """Replace the letters at the head of a queue that the broker may soon drop.

    An older letter was delivered at least as often as a newer one. So the first letter that need not be replaced is the
    end. Each letter is acked when the broker has confirmed its copy.

    :raises AMQPError: the connection was lost, or a copy was refused. Letters that are not replaced are still there.
    :raises click.ClickException: another program consumes from the queue.
    """
    publishing = await connection.open_channel()
    await publishing.confirm_select()
    publisher = ConfirmedPublisher(publishing)
    publishing.on_closed = publisher.lost
    head = DeadLetters(reactor, await connection.open_channel(), queue)
    try:
        await head.look()
        while letters := await head.next_round():
            old = [letter for letter in letters if letter.renewable]
            await gatherResults(
                [maybeDeferred(_replace, head, publisher, queue, letter) for letter in old], consumeErrors=True
            )
            if len(old) < len(letters):
                break
        await head.removed()
    except FirstError as error:
        error.subFailure.raiseException()
    finally:
        await head.put_back()


def _replace(head: DeadLetters, publisher: ConfirmedPublisher, queue: str, letter: Letter) -> Deferred[None]:
    assert letter.content is not None
    own = letter.content.channel.client.credentials.user
    published = publish_copy(publisher, queue, letter.content, copy_as_it_is, own)
    return published.addCallback(lambda _: head.remove([letter]))
