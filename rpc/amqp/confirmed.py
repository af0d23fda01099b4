"""Publishing whose success is known: each message has a Deferred that fires when the broker has it.

RabbitMQ confirms a message when every queue that it was routed to has taken it. It confirms one that was routed to no
queue right after returning it (RabbitMQ documentation, "Consumer Acknowledgements and Publisher Confirms").
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from rpc.amqp.channel import Channel
from rpc.amqp.codec.fields import split_table
from rpc.amqp.codec.properties import HEADERS, split_properties
from rpc.amqp.confirms import ConfirmLedger
from rpc.amqp.content import Returned
from rpc.errors import AMQPError


class NotPublishedCause(enum.Enum):
    """Why a message is not in a queue."""

    RETURNED = "no queue is bound to its routing key"
    NACKED = "the broker refused it: its queue is full or out of order"
    LOST = "the channel was lost before the broker confirmed it"


class NotPublished(AMQPError):
    """A message is not, or not surely, in a queue.

    :ivar cause: after ``LOST`` it may be in a queue nevertheless.
    """

    def __init__(self, cause: NotPublishedCause, text: str) -> None:
        super().__init__(text)
        self.cause = cause


@attrs.frozen(eq=False)
class _Message:
    exchange: str
    routing_key: str
    properties: bytes
    body: bytes
    published: Deferred[None] = attrs.field(factory=Deferred)


class ConfirmedPublisher:
    """Publishes on one channel that is in confirm mode and used by nothing else."""

    def __init__(self, channel: Channel, unknown_return: Callable[[], None] | None = None) -> None:
        """:param unknown_return: called for a return that has the content of no unconfirmed message; the confirm of the
        message comes next.
        """
        self._channel = channel
        self._unknown_return = unknown_return
        self._ledger: ConfirmLedger[_Message] = ConfirmLedger()
        channel.on_confirm = self._confirmed
        channel.on_return = self._returned

    @staticmethod
    def select(channel: Channel) -> Deferred[Any]:
        """Prepare a channel for this kind of publisher. Fires when it is ready; fails as its methods do."""
        selected: Deferred[Any] = channel.confirm_select()
        return selected

    def publish(self, exchange: str, routing_key: str, properties: bytes, body: bytes) -> Deferred[None]:
        """Publish a message.

        :param properties: encoded.
        :return: fires when every queue that it was routed to has it; fails with :class:`NotPublished`.
        :raises CodecError: the properties do not fit into a frame.
        :raises AMQPError: the channel is closed.
        """
        message = _Message(exchange, routing_key, properties, body)
        self._channel.publish(exchange, routing_key, properties, body, True)
        self._ledger.published(message)
        return message.published

    def lost(self, reason: Exception) -> None:
        """Fail all unconfirmed messages: the channel is gone, for `reason`."""
        for message in self._ledger.settle(0, multiple=True):
            message.published.errback(NotPublished(NotPublishedCause.LOST, str(reason)))

    def _returned(self, returned: Returned) -> None:
        """Fail the message that is returned. Its confirm comes next, as if a queue had taken it, and finds nothing."""
        found = self._find(returned)
        if found is not None:
            number, message = found
            self._ledger.forget(number)
            text = f"no queue is bound to {returned.routing_key!r}"
            message.published.errback(NotPublished(NotPublishedCause.RETURNED, text))
        elif self._unknown_return is not None:
            self._unknown_return()

    def _find(self, returned: Returned) -> tuple[int, _Message] | None:
        """Return the message that is returned, and its number; ``None``: no unconfirmed message has its content.

        A return does not say which message it is. Messages with the same content are interchangeable. The bytes of the
        headers may be others: RabbitMQ 4.0 sorts them, and interceptors add headers and properties, such as a
        timestamp. So exchange, routing key, body and the other properties that were sent decide. Of several such
        messages, it is the first whose headers are all there; without one, the first.
        """
        routed = (returned.exchange, returned.routing_key, returned.body)
        sent = []
        for number, message in self._ledger.outstanding():
            if (message.exchange, message.routing_key, message.body) == routed:
                if message.properties == returned.encoded_properties:
                    return number, message
                sent.append((number, message))
        others, headers = _split(returned.encoded_properties)
        alike = None
        for number, message in sent:
            own_others, own_headers = _split(message.properties)
            if all(own in (None, other) for own, other in zip(own_others, others, strict=True)):
                if own_headers.items() <= headers.items():
                    return number, message
                alike = alike or (number, message)
        return alike

    def _confirmed(self, delivery_tag: int, multiple: bool, acknowledged: bool) -> None:
        for message in self._ledger.settle(delivery_tag, multiple):
            if acknowledged:
                message.published.callback(None)
            else:
                message.published.errback(NotPublished(NotPublishedCause.NACKED, "the broker refused it"))

    def __len__(self) -> int:
        return len(self._ledger)


class TransactedPublisher(ConfirmedPublisher):
    """The same with class tx, for versions of AMQP without confirms (AMQP 0-9-1, class tx; all versions have it).

    Each message is a transaction. The broker returns a message before it answers the commit. When a queue rejects the
    message, RabbitMQ closes the channel, so there are no nacks.
    """

    @staticmethod
    def select(channel: Channel) -> Deferred[Any]:
        selected: Deferred[Any] = channel.tx_select()
        return selected

    def publish(self, exchange: str, routing_key: str, properties: bytes, body: bytes) -> Deferred[None]:
        published = super().publish(exchange, routing_key, properties, body)
        number = self._ledger.last
        committed: Deferred[Any] = self._channel.tx_commit()
        # A failure is the end of the channel, whose owner calls lost().
        committed.addCallbacks(lambda _: self._confirmed(number, False, True), lambda failure: failure.trap(AMQPError))
        return published


def publisher_class(channel: Channel) -> type[ConfirmedPublisher]:
    """Return the kind of publisher that the version of AMQP allows for."""
    return ConfirmedPublisher if channel.client.definition.has_confirms else TransactedPublisher


def _split(properties: bytes) -> tuple[Sequence[bytes | None], Mapping[str, bytes]]:
    """Return the encoded properties without the headers, and the encoded headers by name."""
    parts = [*split_properties(properties)]
    headers, parts[HEADERS] = parts[HEADERS], None
    return parts, {} if headers is None else split_table(headers)
