"""Requests put elsewhere by a worker: to the end of their queue, to the suspects, to the dead letters.

What is moved is published and then acked where it was. In between it must be safe, so the broker confirms it; and since
confirms cost, and replies need none, this has a channel of its own.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from rpc.amqp.channel import Channel, then_declare
from rpc.amqp.confirms import ConfirmLedger
from rpc.amqp.properties import encode_properties
from rpc.errors import AMQPError, CodecError
from rpc.interfaces import IChannelUser
from rpc.messages import Properties
from rpc.topology import DEAD_EXCHANGE


class NotMoved(AMQPError):
    """The broker did not take a message, or the channel was lost before it said so."""


@implementer(IChannelUser)
class Mover:
    """Publishes messages, on one channel of a link."""

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._waiting: list[tuple[str, str, bytes, bytes, Deferred[None]]] = []
        self._ledger: ConfirmLedger[Deferred[None]] = ConfirmLedger()

    def move(self, exchange: str, routing_key: str, properties: Properties, body: bytes) -> Deferred[None]:
        """Publish a message.

        :return: fires when the broker has it; without a channel, when there is one again. Fails with
            :class:`NotMoved`.
        :raises CodecError: the properties do not fit into a frame.
        """
        moved: Deferred[None] = Deferred()
        encoded = encode_properties(properties)
        if self._channel is None:
            self._waiting.append((exchange, routing_key, encoded, body, moved))
        else:
            self._publish(self._channel, exchange, routing_key, encoded, body, moved)
        return moved

    def _publish(
        self, channel: Channel, exchange: str, routing_key: str, properties: bytes, body: bytes, moved: Deferred[None]
    ) -> None:
        try:
            channel.publish(exchange, routing_key, properties, body)
        except CodecError:
            raise
        except AMQPError as error:
            moved.errback(NotMoved(str(error)))
        else:
            self._ledger.published(moved)

    def opened(self, channel: Channel) -> Deferred[None]:
        """Take what waits. The dead letters' exchange is declared: to publish to none ends the channel."""
        channel.on_confirm = self._confirmed
        self._ledger = ConfirmLedger()
        prepared: Deferred[Any] = channel.confirm_select()
        prepared.addCallback(then_declare, channel, DEAD_EXCHANGE)
        return prepared.addCallback(lambda _: self._begin(channel))

    def _begin(self, channel: Channel) -> None:
        self._channel = channel
        waiting, self._waiting = self._waiting, []
        for exchange, routing_key, properties, body, moved in waiting:
            try:
                self._publish(channel, exchange, routing_key, properties, body, moved)
            except CodecError as error:
                moved.errback(error)

    def lost(self, reason: Exception) -> None:
        """What was not confirmed stays where it was. So does what waits: its own channel may be gone as well."""
        self._channel = None
        unconfirmed = self._ledger.settle(0, multiple=True)
        waiting, self._waiting = self._waiting, []
        for moved in [*unconfirmed, *(moved for *_, moved in waiting)]:
            moved.errback(NotMoved(str(reason)))

    def blocked(self, reason: str | None) -> None:
        """The confirm will come when the broker reads again."""

    def _confirmed(self, delivery_tag: int, multiple: bool, acknowledged: bool) -> None:
        for moved in self._ledger.settle(delivery_tag, multiple):
            if acknowledged:
                moved.callback(None)
            else:
                moved.errback(NotMoved("the broker refused it"))
