"""Limits of callers: no caller takes all slots, and invented callers take no memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from rpc.errors import ConfigurationError
from rpc.interceptors import WorkerInterceptor
from rpc.worker.call import WorkerCall
from rpc.worker.caller_limits import MOST_CALLERS, CallerLimits, Rates
from rpc.worker.service import ThriftService
from tests.unit.worker.again_case import AgainTestCase
from tests.unit.worker.test_server import Handler


class LimitTests(AgainTestCase):
    """A service with limits."""

    def words(self) -> list[str | None]:
        """Return the outcome words of the replies since the last call; ``None``: it has run."""
        return [(each.properties.headers or {}).get("rpc-outcome") for each in self.wire.take()]

    def test_limits_the_calls_in_progress(self) -> None:
        """Of each user for itself. A place is free again however a call ends."""
        self.serve(limits=CallerLimits(concurrency=2), concurrency=10)
        for user in ("ada", "ada", "ada", "bob"):
            self.request("calculate", user_id=user, expiration="5000")
        self.assertEqual((self.words(), self.worker.running), (["overloaded"], 3))
        self.handler.held[0].callback(1)
        self.handler.held[1].errback(ValueError())
        self.wire.take()
        self.request("calculate", user_id="ada", expiration="5000")
        self.request("calculate", user_id="ada", expiration="5000")
        self.assertEqual((self.words(), self.worker.running), ([], 3))
        self.wire.clock.advance(6)
        self.assertEqual(self.worker.running, 0)
        self.request("add", user_id="ada")
        self.assertEqual(self.words(), [None])
        self.flushLoggedErrors(ValueError)

    def test_requests_without_a_user_are_of_one_caller(self) -> None:
        """A reply queue, or another property, is anything that a client says."""
        self.serve(limits=CallerLimits(concurrency=1), concurrency=10)
        for number in range(3):
            self.request("calculate", reply_to=f"amq.gen-{number}", app_id=f"{number}", correlation_id=f"{number}")
        self.assertEqual((self.words(), self.worker.running), (["overloaded"] * 2, 1))

    def test_a_refused_call_takes_no_place(self) -> None:
        """``allow`` is asked after the limits."""
        asked: list[Any] = []

        def rule(call: WorkerCall) -> bool:
            asked.append(call)
            return False

        self.serve(limits=CallerLimits(concurrency=1), allow=rule)
        for _ in range(3):
            self.request("add", user_id="eve")
        self.assertEqual((self.words(), len(asked)), (["access-denied"] * 3, 3))

    def test_a_call_that_waits_for_an_interceptor_takes_a_place(self) -> None:
        """It has a slot already."""
        waiting: list[Deferred[bool]] = []

        def rule(call: WorkerCall) -> Deferred[bool]:
            waiting.append(Deferred())
            return waiting[-1]

        self.serve(limits=CallerLimits(concurrency=1), allow=rule)
        self.request("add", user_id="ada")
        self.request("add", user_id="ada")
        self.assertEqual(self.words(), ["overloaded"])
        waiting[0].callback(True)
        self.request("add", user_id="ada")
        self.assertEqual((self.words(), len(waiting)), ([None], 2))

    def test_limits_the_rate(self) -> None:
        """On average: a burst may come at once."""
        self.serve(limits=CallerLimits(rate=2, burst=3))
        for user, seconds, runs in (("ada", 0, 3), ("bob", 0, 3), ("ada", 1, 2), ("ada", 0.5, 1), ("ada", 100, 3)):
            self.wire.clock.advance(seconds)
            for _ in range(5):
                self.request("add", user_id=user)
            self.assertEqual(self.words(), [None] * runs + ["overloaded"] * (5 - runs), (user, seconds))

    def test_a_slow_rate_lets_one_call_through(self) -> None:
        """One in ten seconds."""
        self.serve(limits=CallerLimits(rate=0.1))
        for seconds, word in ((0, None), (0, "overloaded"), (9, "overloaded"), (2, None)):
            self.wire.clock.advance(seconds)
            self.request("add", user_id="ada")
            self.assertEqual(self.words(), [word])

    def test_limits_hold_for_all_interceptors(self) -> None:
        """They are told when a call is over a limit."""
        failed: list[Any] = []

        class Seeing(WorkerInterceptor):
            def failed(self, call: WorkerCall) -> None:
                failed.append(str(call.error))

        self.serve(limits=CallerLimits(rate=1), interceptors=[Seeing()])
        self.request("add", user_id="ada")
        self.request("add", user_id="ada")
        self.assertEqual(failed, ["Calculator.add: the user 'ada' is over 1 calls a second"])

    def test_refuses_wrong_limits(self) -> None:
        """When they are made."""
        for wrong in ({}, {"concurrency": 0}, {"rate": 0}, {"rate": True}, {"burst": 3}, {"rate": 1, "burst": 0}):
            with self.assertRaises(ConfigurationError):
                CallerLimits(**wrong)
        with self.assertRaisesRegex(ConfigurationError, "limits"):
            ThriftService(CalculatorStub, Handler(), limits=3)  # type: ignore[arg-type]


class RateTests(SynchronousTestCase):
    """The memory of rates."""

    def test_forgets_the_callers_that_are_silent_for_longest(self) -> None:
        """However many there are."""
        rates = Rates(1.0, 1)
        self.assertTrue(rates.take("first", 0.0))
        for number in range(MOST_CALLERS - 1):
            self.assertTrue(rates.take(str(number), 0.0))
        self.assertFalse(rates.take("first", 0.0))
        for number in range(MOST_CALLERS):
            rates.take(f"more {number}", 0.0)
        self.assertEqual(len(rates), MOST_CALLERS)
        self.assertTrue(rates.take("first", 0.0))
