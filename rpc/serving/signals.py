"""Signals of the processes of a supervisor. Those of a program that serves alone are in :mod:`rpc.program_signals`.

A line that is logged while a signal interrupts the writing of another can be lost, so the reactor does the work.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning


def on_signal(reactor: Any, number: signal.Signals, function: Callable[[], object]) -> None:
    """Have the reactor call `function` for each signal of this kind."""
    signal.signal(number, lambda _, __: reactor.callFromThread(function))


def obey_supervisor(reactor: Any, abort: Callable[[], object]) -> None:
    """Take orders in a worker process: SIGTERM stops it, also when it comes twice, and SIGQUIT aborts.

    A service manager may send SIGTERM to all processes, and the supervisor sends it as well. A terminal sends SIGINT
    and SIGHUP to all processes; those are for the supervisor. They are not ignored by SIG_IGN, which programs that a
    handler starts would inherit.
    """

    def stop_at_once() -> None:
        abort()
        stop(reactor)

    on_signal(reactor, signal.SIGTERM, lambda: stop(reactor))
    on_signal(reactor, signal.SIGQUIT, stop_at_once)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _, __: None)


def stop(reactor: Any) -> None:
    """Stop the reactor, and with it the program. Nothing more if it is stopping already."""
    with suppress(ReactorNotRunning):
        reactor.stop()
