"""Finds handlers that block the reactor.

While a handler blocks, no heartbeat leaves the process. After two to three intervals the broker closes the
connection (RabbitMQ documentation, "Detecting Dead TCP Connections with Heartbeats"), and delivers the requests again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from rpc import log
from rpc.interfaces import IClock
from rpc.observers import tell_all

WITHOUT_HEARTBEAT = 10.0
"""Seconds after which a handler is named when the connection has no heartbeat."""


class ReactorWatch:
    """Logs once for each method that blocked the reactor for longer than half a heartbeat.

    :ivar limit: seconds that the reactor may be blocked.
    :ivar observers: told how late the timer fires, see :class:`rpc.observers.IObserver`.
    """

    def __init__(
        self, clock: IClock, running: Callable[[], list[str]], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """
        :param running: returns the names of the methods in progress, ``Service.method``.
        :param seconds: real time, which the clock of a test is not.
        """
        self._clock = clock
        self._seconds = seconds
        self._running = running
        self._timer: IDelayedCall | None = None
        self._due = 0.0
        self._logged: set[str] = set()
        self._named = False  # whether a handler was named since the timer was set
        self.limit = WITHOUT_HEARTBEAT
        self.observers: list[Any] = []

    def start(self, heartbeat: float) -> None:
        """Watch the reactor.

        :param heartbeat: seconds, as agreed with the broker; 0: none.
        """
        self.stop()
        self.limit = heartbeat / 2 if heartbeat else WITHOUT_HEARTBEAT
        self._set_timer()

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def blocked(self, label: str, seconds: float) -> None:
        """Note that the handler of method `label` did not return for `seconds`."""
        self._named = True
        self._log(label, f"the handler of {label} blocked the reactor for {seconds:.1f} s")

    def _set_timer(self) -> None:
        self._named = False
        self._due = self._seconds() + self.limit / 2
        self._timer = self._clock.callLater(self.limit / 2, self._look)

    def _look(self) -> None:
        late = self._seconds() - self._due
        if self.observers:
            tell_all(self.observers, "reactor_late", max(0.0, late))
        if late > self.limit and not self._named:
            running = ", ".join(self._running()) or "none"
            self._log(running, f"the reactor was blocked for {late:.1f} s; methods in progress: {running}")
        self._set_timer()

    def _log(self, culprit: str, text: str) -> None:
        if culprit not in self._logged:
            self._logged.add(culprit)
            log.warn(
                f"{text}: longer than half a heartbeat, so the broker may close the connection. Run blocking code with "
                "twisted.internet.threads.deferToThread"
            )
