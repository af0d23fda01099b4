"""Contracts between the layers, where there is more than one provider."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import Interface

IClock = IReactorTime
"""The source of time: the reactor, or ``twisted.internet.task.Clock`` in tests."""


class IChannelUser(Interface):
    """A user of a link: has a channel while there is a connection. The link opens it, and again after each loss."""

    def opened(channel: Any) -> Deferred[None]:
        """Set up `channel`, a new :class:`~rpc.amqp.channel.Channel`: declare, consume, keep it.

        :return: fires when the user is ready. When it fails, or does not fire within thirty seconds
            (``rpc.amqp.answer_limit``), the link closes the channel and tries again later, with growing delays.
        """

    def lost(reason: Exception) -> None:
        """The channel has ended: its unacked deliveries are requeued, and its unconfirmed messages may be lost.

        Called once for each call of ``opened``, except after ``Link.detach``.
        """

    def blocked(reason: str | None) -> None:
        """The broker takes no messages, for `reason`; or takes them again (``None``).

        The reason is an alarm of the broker (RabbitMQ extension, connection.blocked), or too many unsent bytes.
        """
