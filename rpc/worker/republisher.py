"""Requests put elsewhere by a worker: to the end of their queue, to the suspects, to the dead letters.

What is moved is published and then acked where it was. In between it must be safe, so the broker confirms it; and since
confirms cost, and replies need none, this has a channel of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from rpc.amqp.channel import Channel, then_declare
from rpc.amqp.confirms import ConfirmLedger
from rpc.amqp.content import Returned
from rpc.errors import AMQPError, CodecError
from rpc.interfaces import IChannelUser
from rpc.topology import DEAD_EXCHANGE, Declaration


class NotMoved(AMQPError):
    """The broker did not take a message, or the channel was lost before it said so.

    :ivar refused: whether the broker did say so.
    """

    def __init__(self, text: str, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused


@attrs.frozen(eq=False)
class Move:
    """A message on its way."""

    exchange: str
    routing_key: str
    properties: bytes
    body: bytes
    done: Deferred[None] = attrs.field(factory=Deferred)


@implementer(IChannelUser)
class Mover:
    """Publishes messages, on one channel of a link."""

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._waiting: list[Move] = []
        self._ledger: ConfirmLedger[Move] = ConfirmLedger()

    def move(self, exchange: str, routing_key: str, properties: bytes, body: bytes) -> Deferred[None]:
        """Publish a message.

        :param properties: encoded.
        :return: fires when a queue has it; without a channel, when there is one again. Fails with :class:`NotMoved`.
        :raises CodecError: the properties do not fit into a frame.
        """
        move = Move(exchange, routing_key, properties, body)
        if self._channel is None:
            self._waiting.append(move)
        else:
            self._publish(self._channel, move)
        return move.done

    def declare(self, declarations: Iterable[Declaration]) -> Deferred[Any]:
        """Declare what messages go to. Fires and fails as :meth:`Channel.invoke` does; without a channel at once."""
        declared: Deferred[Any] = succeed(None)
        if self._channel is not None:
            for declaration in declarations:
                declared.addCallback(then_declare, self._channel, declaration)
        return declared

    def _publish(self, channel: Channel, move: Move) -> None:
        try:
            channel.publish(move.exchange, move.routing_key, move.properties, move.body, True)
        except CodecError:
            raise
        except AMQPError:  # the channel has just ended, and there will be another
            self._waiting.append(move)
        else:
            self._ledger.published(move)

    def opened(self, channel: Channel) -> Deferred[None]:
        """Take what waits. The dead letters' exchange is declared: to publish to none ends the channel."""
        channel.on_confirm = self._confirmed
        channel.on_return = self._returned
        self._ledger = ConfirmLedger()
        prepared: Deferred[Any] = channel.confirm_select()
        prepared.addCallback(then_declare, channel, DEAD_EXCHANGE)
        return prepared.addCallback(lambda _: self._begin(channel))

    def _begin(self, channel: Channel) -> None:
        self._channel = channel
        waiting, self._waiting = self._waiting, []
        for move in waiting:
            try:
                self._publish(channel, move)
            except CodecError as error:
                move.done.errback(error)

    def lost(self, reason: Exception) -> None:
        """What was not confirmed stays where it was. So does what waits: its own channel may be gone as well."""
        self._channel = None
        unconfirmed = self._ledger.settle(0, multiple=True)
        waiting, self._waiting = self._waiting, []
        for move in [*unconfirmed, *waiting]:
            move.done.errback(NotMoved(str(reason)))

    def blocked(self, reason: str | None) -> None:
        """The confirm will come when the broker reads again."""

    def _returned(self, returned: Returned) -> None:
        """No queue is there for a message. Its confirm comes next, as if there were one."""
        sent = (returned.exchange, returned.routing_key, returned.encoded_properties, returned.body)
        for number, move in self._ledger.outstanding():
            if (move.exchange, move.routing_key, move.properties, move.body) == sent:
                self._ledger.forget(number)
                move.done.errback(NotMoved(f"no queue is bound to {returned.routing_key!r}", refused=True))
                return

    def _confirmed(self, delivery_tag: int, multiple: bool, acknowledged: bool) -> None:
        for move in self._ledger.settle(delivery_tag, multiple):
            if acknowledged:
                move.done.callback(None)
            else:
                move.done.errback(NotMoved("the broker refused it", refused=True))
