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
