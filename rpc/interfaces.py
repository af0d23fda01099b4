"""Contracts between the floors, where there is more than one provider."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import Interface

IClock = IReactorTime
"""Where time comes from: the reactor, or ``twisted.internet.task.Clock`` in tests."""


class IChannelUser(Interface):
    """Who needs a channel for as long as there is a connection: the link opens it, and again after each loss."""

    def opened(channel: Any) -> Deferred[None]:
        """Declare, consume and whatever else is needed to work on `channel`, a fresh :class:`rpc.amqp.Channel`.

        :return: fires when the user is ready. A failure closes the channel, and the link tries again later, with
            growing delays.
        """

    def lost(reason: Exception) -> None:
        """The channel is gone, and with it what was outstanding on it. Called once for each call of ``opened``."""

    def blocked(reason: str | None) -> None:
        """The broker takes no messages, for `reason`; or takes them again (``None``)."""


class IDeliveryChannel(Interface):
    """The channel by which a worker's requests come, as its services see it.

    Requests are :class:`rpc.worker.request.Request`. After the channel is lost, acks do nothing: the broker delivers
    those requests again.
    """

    def send(request: Any, body: bytes, now: float, rejection: str | None = None) -> None:
        """Send a reply. One that cannot be sent is logged.

        :param rejection: an outcome word of ``rpc/headers.py``.
        """

    def send_keepalive(request: Any) -> None:
        """Tell the caller of a request that its call runs."""

    def ack(request: Any) -> None:
        """Ack a request. Again does nothing."""

    def ack_delivery(delivery: Any) -> None:
        """Ack a :class:`rpc.amqp.content.Delivery` that is no request."""

    def requeue(request: Any) -> None:
        """Have the broker deliver a request again."""

    def is_current(request: Any) -> bool:
        """Whether the channel that a request came by is open."""

    def fence() -> Deferred[None]:
        """Fires when the broker has taken every ack given so far; fails with :class:`~rpc.errors.AMQPError`."""
