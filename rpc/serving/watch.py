"""Looks at the readiness of a program each second, and reports its changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.task import LoopingCall

from rpc import log
from rpc.serving.marker_file import MarkerFile
from rpc.serving.notifier import Notifier
from rpc.worker.readiness import Readiness

INTERVAL: Final = 1.0
"""Seconds at most between two looks."""

OUTSIDE: Final = (Readiness.DISCONNECTED, Readiness.CONNECTING)
"""The readiness that counts for the connect timeout: the broker has not let the worker in."""


class Watch:
    """Reports to a notifier, and by a file, whether the program is ready. It also ends a long wait for the broker.

    It polls, because the readiness depends on the connection, on each service, and on the broker's alarm. A look costs
    microseconds, and the watchdog needs a timer anyway.
    """

    def __init__(
        self,
        reactor: Any,
        readiness: Callable[[], Readiness],
        notifier: Notifier,
        ready_file: MarkerFile | None = None,
        connect_timeout: float | None = None,
        give_up: Callable[[], None] = lambda: None,
    ) -> None:
        """
        :param ready_file: exists while the program is ready.
        :param connect_timeout: seconds without all services, after which `give_up` is called once. ``None``: never.
        """
        self._readiness = readiness
        self._notifier = notifier
        self._ready_file = ready_file
        self._connect_timeout = connect_timeout
        self._give_up = give_up
        self._reactor = reactor
        self._told: Readiness | None = None
        self._was_ready = False
        self._outside_since: float | None = None
        self._loop = LoopingCall(self.look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Begin to look."""
        half = self._notifier.watchdog / 2 if self._notifier.watchdog else INTERVAL
        self._loop.start(min(half, INTERVAL)).addErrback(
            lambda failure: log.err(failure, "while telling whether the program is ready")
        )

    def stop(self) -> None:
        """End the looks: the program begins to stop. This is reported, too."""
        if self._loop.running:
            self._loop.stop()
        self._tell(Readiness.STOPPING)
        self._mark(Readiness.STOPPING)
        self._notifier.stopping()

    def look(self) -> None:
        """Look now. It does nothing before :meth:`start` and after :meth:`stop`."""
        if not self._loop.running:
            return
        readiness = self._readiness()
        if readiness is not self._told:
            self._tell(readiness)
        self._mark(readiness)
        if readiness is Readiness.READY and not self._was_ready:
            self._was_ready = True
            self._notifier.ready()
        self._notifier.alive()
        self._limit(readiness)

    def _tell(self, readiness: Readiness) -> None:
        self._told = readiness
        self._notifier.status(readiness.name, readiness.value)

    def _mark(self, readiness: Readiness) -> None:
        """Write or remove the file. That is done once, but may have failed before."""
        if self._ready_file is not None:
            self._ready_file.set(readiness is Readiness.READY)

    def _limit(self, readiness: Readiness) -> None:
        if self._connect_timeout is None:
            return
        now = self._reactor.seconds()
        if readiness not in OUTSIDE:
            self._outside_since = None
        elif self._outside_since is None:
            self._outside_since = now
        elif now - self._outside_since >= self._connect_timeout:
            self._connect_timeout = None
            self._give_up()
