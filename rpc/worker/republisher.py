"""Publishes the messages that a worker must not lose: copies of requests, dead letters, and late replies.

A request is acked only when the broker has confirmed its copy. Confirms cost time, and replies need none. So the
republisher has a channel of its own, in confirm mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.confirmed import ConfirmedPublisher, NotPublished, NotPublishedCause, publisher_class
from rpc.amqp.reasons import wrong_user
from rpc.errors import AMQPError, CodecError
from rpc.exchanges import declare
from rpc.headers import QUARANTINE
from rpc.interfaces import IChannelUser
from rpc.messages import Properties
from rpc.topology import DEAD_EXCHANGE, Declaration

PROBE = encode_properties(Properties(type=QUARANTINE, expiration="0"))
"""A message that expires as soon as it is in a queue (RabbitMQ documentation, "Time-To-Live and Expiration")."""


def _always() -> bool:
    return True


@attrs.frozen(eq=False)
class _Message:
    exchange: str
    routing_key: str
    properties: bytes
    body: bytes
    wanted: Callable[[], bool] = _always


@implementer(IChannelUser)
class Republisher:
    """Confirmed publishing on one channel of a link. Without a channel, messages wait for the next one.

    :ivar takes_user_id: whether the broker takes messages with the user id of this connection. It refuses them when it
        knows the user by another name: then ``False``, until the worker starts anew with the right name.
    """

    def __init__(self) -> None:
        self.takes_user_id = True
        self._channel: Channel | None = None
        self._publisher: ConfirmedPublisher | None = None
        self._pending: list[tuple[_Message, Deferred[None]]] = []  # they wait for a channel

    def publish(
        self,
        exchange: str,
        routing_key: str,
        properties: bytes,
        body: bytes,
        declarations: Sequence[Declaration] = (),
        wanted: Callable[[], bool] = _always,
    ) -> Deferred[None]:
        """Publish a message.

        :param properties: encoded.
        :param declarations: of the queue that is to take it. They are declared if it is not there, and the message is
            published once more.
        :param wanted: called before the message is sent; ``False``: it is not sent. While a message waits, the channel
            of its original may be lost, and then the broker delivers the original again.
        :return: fires when a queue has it; fails with :class:`~rpc.amqp.confirmed.NotPublished`, or with the
            :class:`~rpc.errors.AMQPError` of a declaration.
        :raises CodecError: the properties do not fit into a frame.
        """
        message = _Message(exchange, routing_key, properties, body, wanted)
        done = self._publish(message)
        if declarations:
            done.addErrback(self._declare, message, declarations)
        return done

    def exists(self, queue: str) -> Deferred[bool]:
        """Fires with whether `queue` exists; fails with :class:`~rpc.amqp.confirmed.NotPublished`.

        A passive declaration of a missing queue would close the channel, and leave an error in the broker's log.
        """

        def not_published(failure: Failure) -> bool:
            error = failure.value
            if not isinstance(error, NotPublished) or error.cause is NotPublishedCause.LOST:
                failure.raiseException()
            return error.cause is NotPublishedCause.NACKED  # a queue that exists and is full

        return self._publish(_Message("", queue, PROBE, b"")).addCallbacks(lambda _: True, not_published)

    def _publish(self, message: _Message) -> Deferred[None]:
        if not message.wanted():
            return fail(NotPublished(NotPublishedCause.LOST, "the channel of the original was lost"))
        if self._publisher is not None:
            try:
                return self._publisher.publish(message.exchange, message.routing_key, message.properties, message.body)
            except CodecError:
                raise
            except AMQPError:  # the channel has just ended, and there will be another
                pass
        done: Deferred[None] = Deferred()
        self._pending.append((message, done))
        return done

    def _declare(
        self, failure: Failure, message: _Message, declarations: Sequence[Declaration]
    ) -> Failure | Deferred[None]:
        error = failure.value
        if not isinstance(error, NotPublished) or error.cause is not NotPublishedCause.RETURNED:
            return failure
        if self._channel is None:
            return failure
        return declare(self._channel, declarations).addCallback(lambda _: self._publish(message))

    # -- the channel

    def opened(self, channel: Channel) -> Deferred[None]:
        """Publish all pending messages.

        The exchange of dead letters is declared first: a publish to a missing exchange closes the channel.
        """
        self._publisher = None
        prepared: Deferred[Any] = publisher_class(channel).select(channel)
        prepared.addCallback(lambda _: declare(channel, [DEAD_EXCHANGE]))
        return prepared.addCallback(lambda _: self._begin(channel))

    def _begin(self, channel: Channel) -> None:
        self._channel, self._publisher = channel, publisher_class(channel)(channel)
        pending, self._pending = self._pending, []
        for message, done in pending:
            try:
                published = self._publish(message)
            except CodecError as error:
                done.errback(error)
            else:
                published.chainDeferred(done)

    def lost(self, reason: Exception) -> None:
        """Fail all unconfirmed and pending messages: the channel of the originals may be lost as well."""
        if wrong_user(reason) is not None:
            self.takes_user_id = False  # first: those that are told publish again
        publisher, self._publisher, self._channel = self._publisher, None, None
        if publisher is not None:
            publisher.lost(reason)
        pending, self._pending = self._pending, []
        for _, done in pending:
            done.errback(NotPublished(NotPublishedCause.LOST, str(reason)))

    def blocked(self, reason: str | None) -> None:
        """Nothing to do: the broker confirms when it reads again."""

    def refused(self, error: Exception) -> None:
        """Nothing to do: messages wait for the next channel."""
