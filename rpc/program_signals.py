"""The signals of a program that serves: the first ends it in order, and a further one ends the wait for calls.

Twisted's reactor stops at the first SIGTERM or SIGINT. At a second one it only logs that it has stopped already. SIGHUP
is sent when a terminal is closed, and by service managers to reload. Twisted has no handler for it, and without one the
process dies in the middle of its calls.

Handlers that a program has set by itself are left alone, and so is a SIGHUP that it ignores (nohup).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IDelayedCall, IReactorCore

from rpc import log

REACTORS_OWN: Mapping[signal.Signals, str] = {signal.SIGTERM: "sigTerm", signal.SIGINT: "sigInt"}
"""The methods of Twisted's reactors that handle signals (``twisted.internet.base.ReactorBase``)."""


class _Program:
    """The handler of all signals of this process, while it serves.

    Twisted's handlers log. A line that is logged while a signal interrupts the writing of another can be lost, so the
    reactor calls them.
    """

    def __init__(self, reactor: Any) -> None:
        self.aborts: list[Callable[[], None]] = []
        self._reactor = reactor
        self._before: dict[signal.Signals, Any] = {}
        self._stopping = False

    def take(self) -> bool:
        """Handle the signals from now on. Return ``False`` when the program handles SIGTERM by itself."""
        for number, method in REACTORS_OWN.items():
            handler = signal.getsignal(number)
            if handler == getattr(self._reactor, method, None) and callable(handler):
                self._set(number, handler)
        if signal.SIGTERM not in self._before:
            self.give_back()
            return False
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            self._set(signal.SIGHUP, signal.SIG_DFL)
        return True

    def _set(self, number: signal.Signals, before: Any) -> None:
        self._before[number] = before
        signal.signal(number, self)

    def give_back(self) -> None:
        """Restore the handlers that there were before, unless they have been replaced since."""
        before, self._before = self._before, {}
        for number, handler in before.items():
            if signal.getsignal(number) is self:
                signal.signal(number, handler)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            for abort in self.aborts:
                self._reactor.callFromThread(abort)
            return
        self._stopping = True
        first = self._before.get(signal.Signals(number))
        if callable(first):
            self._reactor.callFromThread(first, number, frame)
        else:
            self._reactor.callFromThread(self._hang_up)

    def _hang_up(self) -> None:
        log.msg("Received SIGHUP, shutting down.")
        with suppress(ReactorNotRunning):
            self._reactor.stop()


class ProgramSignals:
    """What one worker or gateway does about the signals of its program."""

    def __init__(self, reactor: Any, abort: Callable[[], None]) -> None:
        """:param abort: called at each signal after the first."""
        self._reactor = reactor
        self._abort = abort
        self._beginning: IDelayedCall | None = None
        self._program: _Program | None = None

    def begin(self) -> None:
        """Heed the signals from the reactor's next turn on: twistd starts services before the reactor has set its
        handlers.
        """
        reactor = self._reactor
        if self._beginning is None and IReactorCore.providedBy(reactor):
            self._beginning = self._reactor.callLater(0, self._begin)

    def _begin(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # Python handles signals in the main thread alone
        present = signal.getsignal(signal.SIGTERM)
        program = present if isinstance(present, _Program) else _Program(self._reactor)
        if program is present or program.take():
            program.aborts.append(self._abort)
            self._program = program

    def end(self) -> None:
        """Heed the signals no longer: it has stopped."""
        beginning, self._beginning = self._beginning, None
        if beginning is not None and beginning.active():
            beginning.cancel()
        program, self._program = self._program, None
        if program is not None:
            program.aborts.remove(self._abort)
            if not program.aborts:
                program.give_back()
