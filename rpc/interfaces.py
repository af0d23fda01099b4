"""Contracts between the layers, where there is more than one provider."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import Attribute, Interface

IClock = IReactorTime
"""The source of time: the reactor, or ``twisted.internet.task.Clock`` in tests."""


class IChannelUser(Interface):
    """A user of a link: has a channel while there is a connection. The link opens it, and again after each loss."""

    def opened(channel: Any) -> Deferred[None]:
        """Set up `channel`, a new :class:`~rpc.amqp.channel.Channel`: declare, consume, keep it.

        :return: fires when the user is ready. When it fails, or does not fire within thirty seconds
            (``rpc.amqp.answer_limit``), the link closes the channel and tries again later, with growing delays.
            When the channel ends before it has fired, the link cancels it.
        """

    def lost(reason: Exception) -> None:
        """The channel has ended: its unacked deliveries are requeued, and its unconfirmed messages may be lost.

        Called once for each call of ``opened``, except after ``Link.detach``.
        """

    def blocked(reason: str | None) -> None:
        """The broker takes no messages, for `reason`; or takes them again (``None``).

        The reason is an alarm of the broker (RabbitMQ extension, connection.blocked), or too many unsent bytes.
        """

    def refused(error: Exception) -> None:
        """Every host was tried, and one has refused the login or the virtual host, as it will the next time
        (``rpc/refusals.py``). There is no channel. The link tries again all the same.
        """


class IDeliveryChannel(Interface):
    """The channel by which a worker's requests come, as its services see it.

    Requests are :class:`rpc.worker.request.Request`. After the channel is lost, acks do nothing: the broker delivers
    those requests again.
    """

    largest_message = Attribute("Bytes of a body that the broker takes, as far as it is known.")

    def send(request: Any, body: bytes, now: float, rejection: str | None = None) -> None:
        """Send a reply. One that cannot be sent is logged.

        :param rejection: an outcome word of ``rpc/headers.py``.
        """

    def send_keepalive(request: Any) -> None:
        """Tell the caller of a request that its call runs."""

    def ack(request: Any) -> None:
        """Ack a request. A second call does nothing."""

    def ack_delivery(delivery: Any) -> bool:
        """Ack a :class:`rpc.amqp.content.Delivery`.

        :return: ``False``: its channel was lost, and the broker delivers it again.
        """

    def requeue(request: Any) -> None:
        """Have the broker deliver a request again."""

    def is_current(request: Any) -> bool:
        """Whether the channel that a request came by is open, and acks are still sent on it."""

    def fence() -> Deferred[None]:
        """Fires when the broker has taken every ack given so far; fails with :class:`~rpc.errors.AMQPError`."""
