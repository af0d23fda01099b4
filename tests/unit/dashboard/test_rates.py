"""Rates and percentiles."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rpc.control.call_stats import BOUNDS
from rpc.control.totals import MethodTotal
from rpc.dashboard.rates import IDLE, WINDOW, RateMeter
from rpc.dashboard.readings import WorkerReading
from tests.unit.dashboard.readings import counts, reading, service, worker


class RateMeterTests(SynchronousTestCase):
    """Readings, one after the other."""

    def setUp(self) -> None:
        self.meter = RateMeter()

    def take(self, clock: float, **workers: MethodTotal) -> tuple[float, float]:
        """Take the counts of Adder.add in each worker; return the rates of all calls, and of failed ones."""
        answers = [worker(name, service("Adder", {"add": each})) for name, each in workers.items()]
        total = self.meter.take(reading(clock, *answers)).total
        return total.rate, total.errors

    def test_the_first_reading_has_no_rate(self) -> None:
        """Since when the worker counts says nothing about now."""
        self.assertEqual(self.take(1, a=counts(1000)), (0.0, 0.0))

    def test_rates_are_differences_in_a_second(self) -> None:
        """The seconds are those between the readings."""
        self.take(1, a=counts(10))
        self.assertEqual(self.take(3, a=counts(20, failed=4)), (5.0, 2.0))

    def test_adds_the_workers(self) -> None:
        """Each is compared with itself."""
        self.take(1, a=counts(10), b=counts(500))
        self.assertEqual(self.take(2, a=counts(13), b=counts(504)), (7.0, 0.0))

    def test_a_worker_that_ends_takes_nothing_away(self) -> None:
        """And one that comes adds nothing with its first answer."""
        self.take(1, a=counts(10), b=counts(500))
        self.assertEqual(self.take(2, a=counts(12)), (2.0, 0.0))
        self.assertEqual(self.take(3, a=counts(13), c=counts(90)), (1.0, 0.0))

    def test_a_count_that_goes_back_is_no_rate(self) -> None:
        """A worker that has the same name again."""
        self.take(1, a=counts(10))
        self.assertEqual(self.take(2, a=counts(3)), (0.0, 0.0))
        self.assertEqual(self.take(3, a=counts(4)), (1.0, 0.0))

    def test_counts_that_change_without_a_call_are_no_calls(self) -> None:
        """A peer may tell any numbers. Readings go on, also when these leave the window."""
        for second in range(WINDOW + 4):
            self.assertEqual(self.take(second, a=evolve(counts(5), seconds=float(min(second, 2)))), (0.0, 0.0))
        self.assertEqual(self.take(WINDOW + 4, a=counts(7)), (2.0, 0.0))

    def test_figures_of_services_and_methods(self) -> None:
        """Each has its own."""

        def answers(adds: int, asks: int) -> tuple[WorkerReading, ...]:
            return (
                worker("a", service("Adder", {"add": counts(adds), "sub": counts(1)})),
                worker("b", service("Adder", {"add": counts(adds)}), service("Asker", {"ask": counts(0, asks)})),
            )

        self.meter.take(reading(1, *answers(10, 10)))
        rates = self.meter.take(reading(2, *answers(12, 13)))
        self.assertEqual(rates.services["Adder"].rate, 4.0)
        self.assertEqual(rates.services["Asker"].rate, 3.0)
        self.assertEqual(rates.methods["Adder", "add"].rate, 4.0)
        self.assertEqual(rates.methods.get(("Adder", "sub"), IDLE), IDLE)
        self.assertEqual(rates.methods["Adder", "add"].p50, BOUNDS[0] / 2)
        self.assertGreater(rates.methods["Asker", "ask"].p50 or 0.0, BOUNDS[0])

    def test_percentiles_are_those_of_the_last_readings(self) -> None:
        """A slow call is forgotten when it leaves the window."""
        self.take(0, a=counts(0, 0, 0))
        self.take(1, a=counts(0, 0, 1))
        for second in range(2, WINDOW + 1):
            self.take(second, a=counts(second, 0, 1))
        total = self.meter.take(reading(WINDOW + 1, worker("a", service("Adder", {"add": counts(WINDOW + 1, 0, 1)}))))
        self.assertLess(total.total.p99 or 0.0, BOUNDS[0])

    def test_an_idle_service_has_no_percentiles_in_the_end(self) -> None:
        """Nothing is kept of it."""
        for second in range(WINDOW + 3):
            rates = self.meter.take(reading(second, worker("a", service("Adder", {"add": counts(min(second, 1))}))))
        self.assertEqual(rates.total, IDLE)
        self.assertEqual((rates.services, rates.methods), ({}, {}))

    def test_services_without_counts_are_idle(self) -> None:
        """A worker that counts nothing."""
        for second in range(3):
            rates = self.meter.take(reading(second, worker("a", service("Adder"))))
        self.assertEqual(rates.total, IDLE)

    def test_after_a_pause_percentiles_begin_anew(self) -> None:
        """Calls from before the pause are not shown as if they were now."""
        self.take(0, a=counts(0, 0, 0))
        self.take(1, a=counts(0, 0, 5))
        self.meter.restart()
        rates = self.meter.take(reading(100, worker("a", service("Adder", {"add": counts(0, 0, 5)}))))
        self.assertEqual(rates.total, IDLE)

    def test_times_above_the_last_bound_are_that_bound(self) -> None:
        """They have no upper end, and JSON has no infinity."""
        for second in (0, 1):
            total = self.meter.take(
                reading(second, worker("a", service("Adder", {"add": counts(*[0] * len(BOUNDS), second)})))
            )
        self.assertEqual(total.total.p50, BOUNDS[-1])
