"""Declares queues and bindings on a channel of their own: an error there closes only that channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc.amqp.channel import Channel
from rpc.exchanges import declare
from rpc.interfaces import IChannelUser
from rpc.link import Link
from rpc.topology import Declaration


@implementer(IChannelUser)
class Declarer:
    """Declares, calls back, and closes its channel. The link tries again, with growing delays, until it succeeds."""

    def __init__(
        self,
        link: Link,
        declarations: Callable[[], Iterable[Declaration]],
        declared: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """
        :param declared: called when everything is declared.
        :param failed: called with each error, to explain it in the log.
        """
        self._link = link
        self._declarations = declarations
        self._declared = declared
        self._failed = failed
        self._is_attached = False

    def start(self) -> None:
        """Begin to declare. The next attempt of a pending declaration comes soon."""
        if self._is_attached:
            self._link.hurry(self)
        else:
            self._is_attached = True
            self._link.attach(self)

    def stop(self) -> None:
        """Close the channel, and with it end a pending declaration."""
        if self._is_attached:
            self._is_attached = False
            self._link.detach(self)

    def opened(self, channel: Channel) -> Deferred[None]:
        """Send every declaration at once: the broker answers in order (AMQP 0-9-1, section 4.7)."""
        return declare(channel, self._declarations()).addCallbacks(self._succeed, self._explain)

    def _succeed(self, _: object) -> None:
        self.stop()
        self._declared()

    def _explain(self, failure: Failure) -> Failure:
        if isinstance(failure.value, Exception):
            self._failed(failure.value)
        return failure

    def lost(self, reason: Exception) -> None:
        """The link opens another channel."""

    def blocked(self, reason: str | None) -> None:
        """Nothing to do: declarations publish no messages."""

    def refused(self, error: Exception) -> None:
        """Nothing to do: the worker's owner is told."""
