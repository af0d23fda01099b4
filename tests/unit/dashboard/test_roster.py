"""Workers that have answered lately, and services that were seen."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.control import (
    Answer,
    Answers,
    BadAnswer,
    End,
    Latency,
    MethodStats,
    ServiceDescription,
    ServiceState,
    ServiceStats,
    Status,
    WorkerDescription,
    WorkerStats,
)
from rpc.control.call_stats import BOUNDS
from rpc.dashboard.readings import WorkerReading
from rpc.dashboard.roster import ALL_SILENT, GONE, LATE, SILENT, Roster
from rpc.dashboard.snapshot import MOST_SERVICES
from tests.unit.dashboard.readings import EPOCH


def stats(instance: str, *services: str, kept: bool = True, bounds: tuple[float, ...] = BOUNDS) -> WorkerStats:
    """Return the answer of a worker that has started ten seconds ago."""
    method = MethodStats(
        method="add",
        outcomes={"returned": 5, "raised": 2, "failed": 3, "cancelled": 1},
        errors={"NoSuchKey": 2, "ValueError": 3, "CancelledError": 1},
        latency=Latency(total=1.0, counts=[4, 7, *[0] * (len(BOUNDS) - 1)]),
    )
    parts = [ServiceStats(name, ServiceState.CONSUMING, 1, 2, 64, [method] if kept else []) for name in services]
    return WorkerStats(instance, kept, 10.0, list(bounds), parts)


def answers(*values: WorkerStats, bad: tuple[BadAnswer, ...] = (), problem: str | None = None) -> Answers[WorkerStats]:
    """Return these values as the gathered answers."""
    return Answers(tuple(Answer(value.instance, 0.1, value) for value in values), bad, problem=problem)


class RosterTests(SynchronousTestCase):
    """From answers to readings."""

    def setUp(self) -> None:
        self.roster = Roster()

    def take(self, now: float, *values: WorkerStats) -> tuple[WorkerReading, ...]:
        """Take answers; return the readings."""
        self.assertEqual(self.roster.take_stats(answers(*values), now, EPOCH + now), [])
        return self.roster.readings(now)

    def test_a_worker_and_its_services(self) -> None:
        """Exceptions of the IDL are no errors, as for the verb ``stats``."""
        (worker,) = self.take(100, stats("a", "Adder"))
        self.assertEqual((worker.instance, worker.state, worker.started), ("a", "", EPOCH + 90))
        (service,) = worker.services
        self.assertEqual((service.name, service.state), ("Adder", "CONSUMING"))
        self.assertEqual((service.running, service.waiting, service.concurrency), (1, 2, 64))
        total = (service.methods or {})["add"]
        self.assertEqual((total.calls, total.exceptions, total.failures), (11, 2, 4))
        self.assertEqual(total.errors, {"NoSuchKey": 2, "ValueError": 3, "CancelledError": 1})

    def test_workers_of_which_none_answers(self) -> None:
        """A worker that was busy for one look is no problem; without a worker, there is none to answer."""
        silent, none = Answers[WorkerStats]((), end=End.WAITED), Answers[WorkerStats]((), end=End.UNROUTABLE)
        self.assertEqual(self.roster.take_stats(silent, 0, EPOCH), [ALL_SILENT])
        self.take(1, stats("a", "Adder"))
        for now, expected in ((2.0, []), (1 + LATE + 1, [ALL_SILENT]), (1 + GONE + 1, [ALL_SILENT])):
            self.assertEqual(self.roster.take_stats(silent, now, EPOCH + now), expected)
        self.assertEqual(self.roster.take_stats(none, 30, EPOCH), [])

    def test_a_worker_that_counts_nothing(self) -> None:
        """Has no methods, not methods without calls."""
        (worker,) = self.take(1, stats("a", "Adder", kept=False))
        self.assertIsNone(worker.services[0].methods)

    def test_descriptions_complete_workers(self) -> None:
        """A worker without one is a stranger."""
        self.assertFalse(self.roster.has_strangers)
        self.take(1, stats("a", "Adder"))
        self.assertTrue(self.roster.has_strangers)
        self.assertEqual(self.roster.queues, {"Adder": "rpc.Adder"})
        self.roster.take_descriptions(
            [
                WorkerDescription(
                    "a", "1.2", "host", 7, status=Status.WARNING, services=[ServiceDescription("Adder", queue="jobs")]
                ),
                WorkerDescription("unknown"),
            ]
        )
        self.assertFalse(self.roster.has_strangers)
        (worker,) = self.take(2, stats("a", "Adder"))
        self.assertEqual((worker.version, worker.host, worker.pid, worker.state), ("1.2", "host", 7, "WARNING"))
        self.assertEqual(self.roster.queues, {"Adder": "jobs"})

    def test_a_worker_that_does_not_answer_stays_for_a_while(self) -> None:
        """It may be busy. Its counts are those of its last answer."""
        self.take(0, stats("a", "Adder"))
        for now, state in ((LATE, ""), (LATE + 1, SILENT), (GONE, SILENT)):
            (worker,) = self.take(now)
            self.assertEqual((worker.state, len(worker.services)), (state, 1))
        self.assertEqual(self.take(GONE + 1), ())

    def test_a_service_stays_as_long_as_it_has_a_queue(self) -> None:
        """Or a worker, or when the user has named it."""
        roster = self.roster = Roster(["Wanted"])
        self.take(0, stats("a", "Adder"))
        self.take(GONE + 1, stats("b", "Asker"))
        self.assertEqual(set(roster.queues), {"Wanted", "Adder", "Asker"})
        roster.forget_services(["Wanted", "Adder", "Asker"])
        self.assertEqual(set(roster.queues), {"Wanted", "Asker"})

    def test_answers_that_cannot_be_used_are_named(self) -> None:
        """They take nothing from the others."""
        bad = BadAnswer("old", 0.1, "unknown method"), BadAnswer(None, 0.1, "cannot be read")
        gathered = answers(stats("a", "Adder"), bad=bad, problem="channel lost")
        problems = self.roster.take_stats(gathered, 1, EPOCH)
        self.assertEqual(problems, ["old: unknown method", "a worker: cannot be read", "channel lost"])
        self.assertEqual(len(self.roster.readings(1)), 1)

    def test_counts_that_cannot_be_added_are_named(self) -> None:
        """By other bounds, or with impossible numbers. The worker is shown without them."""
        odd = stats("b", "Adder", bounds=(1.0,)), stats("c", "Adder"), stats("d", "Adder")
        odd[1].services[0].methods[0].latency.counts = [3]
        odd[2].services[0].methods[0].outcomes["failed"] = -1
        problems = self.roster.take_stats(answers(stats("a", "Adder"), *odd), 1, EPOCH)
        self.assertEqual([problem.partition(":")[0] for problem in problems], ["b", "c", "d"])
        methods = [each.services[0].methods for each in self.roster.readings(1)]
        self.assertEqual([each is None for each in methods], [False, True, True, True])

    def test_odd_values_of_a_worker_are_values(self) -> None:
        """A state of a later version, and a number that JSON does not have."""
        odd = stats("a", "Adder")
        odd.uptime, odd.services[0].state = float("nan"), 99
        (worker,) = self.take(1, odd)
        self.assertEqual((worker.services[0].state, worker.started), ("state 99", EPOCH + 1))

    def test_a_peer_cannot_make_any_number_of_services(self) -> None:
        """The broker is asked about the queues of so many."""
        self.take(1, stats("a", *(f"S{number}" for number in range(MOST_SERVICES + 10))))
        self.assertEqual(len(self.roster.queues), MOST_SERVICES)
