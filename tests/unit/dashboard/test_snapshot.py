"""Rows of the page."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from rpc.control.call_stats import BOUNDS
from rpc.dashboard.rates import RateMeter
from rpc.dashboard.readings import QueuedMessages, Reading
from rpc.dashboard.snapshot import (
    LONGEST_NAME,
    MOST_METHODS,
    MOST_PROBLEMS,
    MOST_SERVICES,
    Snapshot,
    as_json,
    snapshot_of,
)
from tests.unit.dashboard.readings import counts, reading, service, worker


def shown(*readings: Reading) -> Snapshot:
    """Return the snapshot of the last one."""
    meter = RateMeter()
    for each in readings:
        rates = meter.take(each)
    return snapshot_of(readings[-1], rates)


class SnapshotTests(SynchronousTestCase):
    """From a reading to rows."""

    def test_a_service_of_several_workers(self) -> None:
        """Numbers of its workers are added up; its queue is added to the requests that wait in them."""
        snapshot = shown(
            reading(
                1,
                worker("b", service("Adder", {"add": counts(5, failed=1)}, running=2, waiting=1)),
                worker("a", service("Adder", {"add": counts(7), "sub": counts(1)}, running=3)),
                queues={"Adder": QueuedMessages(40, 6)},
            )
        )
        (row,) = snapshot.services
        self.assertEqual((row.name, row.workers, row.states), ("Adder", 2, {"CONSUMING": 2}))
        self.assertEqual((row.running, row.concurrency, row.waiting, row.dead), (5, 20, 41, 6))
        self.assertTrue(row.counted)
        add, sub = snapshot.methods["Adder"]
        self.assertEqual((add.name, add.calls, add.errors), ("add", 12, {"ValueError": 1}))
        self.assertEqual((sub.name, sub.calls, sub.errors), ("sub", 1, {}))
        self.assertEqual([each.instance for each in snapshot.workers], ["a", "b"])
        totals = snapshot.totals
        self.assertEqual((totals.services, totals.workers), (1, 2))
        self.assertEqual((totals.running, totals.waiting, totals.dead), (5, 41, 6))

    def test_a_service_without_workers_is_shown(self) -> None:
        """By its queue. An operator must see that no worker serves it."""
        (row,) = shown(reading(1, queues={"Adder": QueuedMessages(3, None)})).services
        self.assertEqual((row.workers, row.waiting, row.dead, row.counted), (0, 3, None, False))

    def test_a_worker_that_counts_nothing(self) -> None:
        """Its service has no figures and no methods."""
        snapshot = shown(reading(1, worker("a", service("Adder"))))
        self.assertFalse(snapshot.services[0].counted)
        self.assertEqual(snapshot.methods, {"Adder": []})

    def test_names_of_peers_are_bounded_and_cannot_change_how_other_text_looks(self) -> None:
        """Controls and bidirectional marks are shown by their numbers. Tags are text, which the page sets as text."""
        names = ["<b>Adder</b>", "Ad\u202eder", "Adder\x1b[2J", "x" * 1000]
        services = [service(name, {name: counts(1)}) for name in names]
        snapshot = shown(reading(1, worker("w\n1", *services), problems=("bad\x07",)))
        found = [row.name for row in snapshot.services]
        self.assertEqual(found, ["<b>Adder</b>", "Adder\\u001b[2J", "Ad\\u202eder", "x" * LONGEST_NAME + "..."])
        self.assertEqual(sorted(snapshot.methods), sorted(found))
        self.assertEqual([row.name for name in found for row in snapshot.methods[name]], found)
        self.assertEqual(snapshot.workers[0].instance, "w\\n1")
        self.assertEqual(snapshot.problems, ("bad\\u0007",))

    def test_peers_cannot_make_any_number_of_rows(self) -> None:
        """The page says how many there are more."""
        services = [service(f"S{number}") for number in range(MOST_SERVICES + 3)]
        problems = tuple(f"worker {number}: an answer that cannot be read" for number in range(100))
        snapshot = shown(reading(1, worker("a", *services), problems=problems))
        self.assertEqual(len(snapshot.services), MOST_SERVICES)
        self.assertEqual(snapshot.totals.services, MOST_SERVICES + 3)
        self.assertEqual(len(snapshot.problems), MOST_PROBLEMS + 1)
        self.assertEqual(snapshot.problems[0], "3 services more are not shown")
        self.assertEqual(snapshot.problems[-1], "81 further problems")

    def test_a_service_has_a_bounded_number_of_methods(self) -> None:
        """The page says how many there are more."""
        methods = {f"m{number:06}": counts(1) for number in range(MOST_METHODS + 2)}
        snapshot = shown(reading(1, worker("a", service("Adder", methods))))
        self.assertEqual([row.name for row in snapshot.methods["Adder"]], list(methods)[:MOST_METHODS])
        self.assertEqual(snapshot.problems, ("Adder: 2 methods more are not shown",))

    def test_rows_are_json(self) -> None:
        """Figures have four digits, so that a row does not change with every call."""
        snapshot = shown(
            reading(1, worker("a", service("Adder", {"add": counts(0)}))),
            reading(4, worker("a", service("Adder", {"add": counts(1)}))),
        )
        row = json.loads(json.dumps(as_json(snapshot.services[0])))
        self.assertEqual(
            row["figures"],
            {"rate": 0.3333, "errors": 0.0, "p50": BOUNDS[0] / 2, "p99": float(f"{BOUNDS[0] * 0.99:.4g}")},
        )
        self.assertEqual(as_json(snapshot.workers[0])["started"], 1_700_000_000.0)
