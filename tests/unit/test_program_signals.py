"""The signals of a program with workers. A signal interrupts the program anywhere, as while it writes to its log."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from rpc.program_signals import ProgramSignals

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class SignalReactor(MemoryReactorClock):
    """A reactor in memory with the handlers of Twisted's. The test runs the functions that its thread is to call."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self._later: list[tuple[Any, ...]] = []

    def callFromThread(self, *call: Any) -> None:
        self._later.append(call)

    def sigTerm(self, number: int, frame: object) -> None:
        self.done.append(f"term {number}")

    def sigInt(self, number: int, frame: object) -> None:
        self.done.append(f"int {number}")

    def stop(self) -> None:
        self.done.append("stop")

    def turn(self) -> list[str]:
        """Run a turn; return the functions that were run in it."""
        self.advance(0)
        later, self._later = self._later, []
        for function, *arguments in later:
            function(*arguments)
        done, self.done = self.done, []
        return done


class SignalTests(SynchronousTestCase):
    """ProgramSignals."""

    def setUp(self) -> None:
        self.reactor = SignalReactor()
        for number in NUMBERS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        signal.signal(signal.SIGTERM, self.reactor.sigTerm)
        signal.signal(signal.SIGINT, self.reactor.sigInt)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.handlers = self.present()

    def present(self) -> list[Any]:
        """The handlers of the process."""
        return [signal.getsignal(number) for number in NUMBERS]

    def worker(self, name: str = "abort") -> ProgramSignals:
        """The signals of a worker, which has begun."""
        signals = ProgramSignals(self.reactor, lambda: self.reactor.done.append(name))
        signals.begin()
        self.assertEqual(self.reactor.turn(), [])
        self.addCleanup(signals.end)
        return signals

    def send(self, number: signal.Signals) -> None:
        """Send this process a signal, which must do nothing by itself."""
        os.kill(os.getpid(), number)
        self.assertEqual(self.reactor.done, [])

    def test_the_first_signal_ends_the_program_and_further_ones_the_wait(self) -> None:
        """The reactor calls Twisted's handler once, then the abort; in any order of signals."""
        for first, ends in ((signal.SIGTERM, "term 15"), (signal.SIGINT, "int 2"), (signal.SIGHUP, "stop")):
            for further in NUMBERS:
                signals = self.worker()
                self.send(first)
                self.assertEqual(self.reactor.turn(), [ends])
                self.send(further)
                self.send(further)
                self.assertEqual(self.reactor.turn(), ["abort", "abort"])
                signals.end()

    def test_two_signals_in_one_turn_are_two(self) -> None:
        """The reactor may be busy when they arrive."""
        self.worker()
        self.send(signal.SIGTERM)
        self.send(signal.SIGTERM)
        self.assertEqual(self.reactor.turn(), ["term 15", "abort"])

    def test_all_workers_of_the_program_are_told(self) -> None:
        """One that has stopped is not. The handlers from before are restored when the last has stopped."""
        signals = [self.worker(name) for name in ("a", "b", "c")]
        signals[1].end()
        self.send(signal.SIGTERM)
        self.send(signal.SIGTERM)
        self.assertEqual(self.reactor.turn(), ["term 15", "a", "c"])
        signals[0].end()
        self.assertNotEqual(self.present(), self.handlers)
        signals[2].end()
        signals[2].end()
        self.assertEqual(self.present(), self.handlers)

    def test_handlers_of_the_program_are_left_alone(self) -> None:
        """Those that it has before, and those that it sets while the worker runs."""
        own: Any = lambda *_: None  # noqa: E731
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, own)
            signals = self.worker()
            self.assertIs(signal.getsignal(number), own)
            signals.end()
            self.assertIs(signal.getsignal(number), own)
            signal.signal(number, self.handlers[NUMBERS.index(number)])
        signals = self.worker()
        signal.signal(signal.SIGTERM, own)
        signals.end()
        self.assertEqual(self.present(), [own, *self.handlers[1:]])

    def test_a_program_that_handles_sigterm_keeps_all_signals(self) -> None:
        """It may not even run the reactor's main loop."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.worker()
        self.assertEqual(self.present(), [signal.SIG_DFL, *self.handlers[1:]])

    def test_an_ignored_sighup_stays_ignored(self) -> None:
        """As nohup has it."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.worker()
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)

    def test_nothing_happens_before_the_reactor_runs(self) -> None:
        """A worker that is stopped before leaves nothing behind."""
        signals = ProgramSignals(self.reactor, lambda: None)
        signals.begin()
        self.assertEqual(self.present(), self.handlers)
        signals.end()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_reactor_in_another_thread_has_no_signals(self) -> None:
        """Python would refuse to set a handler there."""
        thread = threading.Thread(target=self.worker)
        thread.start()
        thread.join()
        self.assertEqual(self.present(), self.handlers)

    def test_a_clock_has_no_signals(self) -> None:
        """Nor another object that is no reactor."""
        ProgramSignals(object(), lambda: None).begin()
