"""One open page: its stream of events, and its end when the browser does not read.

A browser that reads slowly misses events. It gets the present state when it has read all that was sent. So its buffer
is bounded: the bytes that the transport takes before it pauses us (64 KiB), and one event.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

LONGEST_PAUSE: Final = 30.0
"""Seconds after which a viewer that reads nothing is closed."""


class State(enum.Enum):
    """Whether a viewer has every event, and whether its transport takes more."""

    CURRENT = "current"
    """It was sent every event."""

    FULL = "full"
    """Its transport is full, and it has missed nothing yet."""

    BEHIND = "behind"
    """Its transport is full, and it has missed events."""

    CLOSED = "closed"


@implementer(IPushProducer)
class Viewer:
    """A request for events.

    :ivar service: the service that it looks at, or ``None``.
    """

    def __init__(self, request: Request, clock: Any, service: str | None, present: Callable[[Viewer], bytes]) -> None:
        """:param present: returns the events that tell a viewer the present state."""
        self.service = service
        self.state = State.CURRENT
        self._request = request
        self._clock = clock
        self._present = present
        self._limit: Any = None
        self._connection: Any = request.channel

    def begin(self, on_closed: Callable[[Viewer], None]) -> None:
        """Send the present state.

        :param on_closed: called when the viewer is gone.
        """

        def closed(_: Failure | None) -> None:
            self._leave()
            on_closed(self)

        self._request.notifyFinish().addBoth(closed)
        self._connection.outlive()
        self._request.registerProducer(self, True)
        self.send(self._present(self))

    def send(self, events: bytes) -> None:
        """Send events, if the transport takes them. Else the viewer misses them."""
        if self.state is State.CURRENT:
            self._request.write(events)
        elif self.state is State.FULL:
            self.state = State.BEHIND

    def close(self) -> None:
        """End the stream: in order, unless earlier events are still unread."""
        if self.state in (State.FULL, State.BEHIND):
            self._drop()
        elif self.state is State.CURRENT:
            self._leave()
            self._request.unregisterProducer()
            self._request.finish()

    def pauseProducing(self) -> None:
        if self.state is State.CURRENT:
            self.state = State.FULL
            self._limit = self._clock.callLater(LONGEST_PAUSE, self._drop)

    def resumeProducing(self) -> None:
        if self.state in (State.FULL, State.BEHIND):
            missed, self.state = self.state is State.BEHIND, State.CURRENT
            self._limit.cancel()
            if missed:
                self.send(self._present(self))

    def stopProducing(self) -> None:
        """Do nothing: the end of the connection is told to the request as well."""

    def _drop(self) -> None:
        """Abort the connection: an orderly end would send its buffer first."""
        self._connection.abort()

    def _leave(self) -> None:
        self.state = State.CLOSED
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
