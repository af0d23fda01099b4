"""``thrift-rpc stats``: the output for one look at the workers, and for two."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.stats import Look, as_json, compare, lines
from rpc.control import Answer, Answers, Latency, WorkerStats
from tests.unit.control.test_totals import PLACES, counts, method, worker


def look(at: float, *workers: WorkerStats) -> Look:
    """Return a look."""
    return Look(at, Answers(tuple(Answer(each.instance, 0.1, each) for each in workers), (), len(workers)))


class StatsTests(SynchronousTestCase):
    """Looks at the workers of Calculator."""

    def test_one_look_shows_all_calls_and_no_rate(self) -> None:
        seen = look(5.0, worker(method(returned=3)), worker(instance="b", kept=False))
        shown = compare("Calculator", seen, None)
        text = "\n".join(lines("Calculator", 2, shown))
        self.assertIn("Calculator: 2 workers, 2 of 8 slots in use, 4 waiting in them", text)
        self.assertIn("count no calls (--no-stats or stats=False), or in another way: b", text)
        row = next(line for line in text.splitlines() if line.startswith("add"))
        self.assertEqual(row.split(), ["add", "3", "0", "0", "-", "166.7", "ms", "0.1", "ms", "0.1", "ms"])

    def test_two_looks_show_the_rate_between_them(self) -> None:
        before = look(5.0, worker(method(returned=3), uptime=10.0))
        shown = compare("Calculator", look(7.0, worker(method(returned=8), uptime=12.0)), before)
        self.assertEqual((shown.seconds, shown.methods["add"].calls), (2.0, 5))
        row = next(line for line in lines("Calculator", 1, shown) if line.startswith("add"))
        self.assertEqual(row.split()[:5], ["add", "5", "0", "0", "2.5"])

    def test_a_worker_that_was_started_or_is_new_does_not_count(self) -> None:
        """Its counts are those of another time."""
        before = look(5.0, worker(method(returned=3), uptime=100.0), worker(method(), instance="b", uptime=100.0))
        now = look(
            7.0,
            worker(method(returned=4), uptime=102.0),
            worker(method(returned=1000), instance="b", uptime=1.0),
            worker(method(returned=1000), instance="c", uptime=500.0),
        )
        shown = compare("Calculator", now, before)
        self.assertEqual(shown.methods["add"].calls, 1)
        self.assertEqual(shown.total.concurrency, 12)

    def test_shows_the_errors_of_each_method(self) -> None:
        failed = method(
            "sum", outcomes={"failed": 2}, errors={"ZeroDivisionError": 2}, latency=Latency(1.0, counts(p3=2))
        )
        text = "\n".join(lines("Calculator", 1, compare("Calculator", look(1.0, worker(failed)), None)))
        self.assertIn("METHOD  EXCEPTION OR ERROR  CALLS\nsum     ZeroDivisionError       2", text)

    def test_exceptions_of_the_idl_have_their_own_column(self) -> None:
        mixed = method(returned=5, outcomes={"returned": 5, "raised": 3, "rejected": 1}, errors={"UnknownTerm": 3})
        seen = look(1.0, worker(mixed))
        shown = compare("Calculator", seen, None)
        row = next(line for line in lines("Calculator", 1, shown) if line.startswith("add"))
        self.assertEqual(row.split()[:4], ["add", "9", "3", "1"])
        found = as_json("Calculator", seen, shown)["methods"]["add"]
        self.assertEqual((found["exceptions"], found["errors"], found["errors_by_type"]), (3, 1, {"UnknownTerm": 3}))

    def test_json_has_null_for_what_is_not_known(self) -> None:
        slow = method("slow", latency=Latency(1000.0, [0] * (PLACES - 1) + [1]))
        idle = method("idle", 0, outcomes={"rejected": 1})
        seen = look(1.0, worker(slow, idle, method(returned=4)))
        found = json.loads(json.dumps(as_json("Calculator", seen, compare("Calculator", seen, None)), allow_nan=False))
        self.assertEqual((found["workers"], found["running"], found["seconds"]), (["a"], 1, None))
        self.assertEqual(found["methods"]["slow"]["p99"], None)
        self.assertEqual((found["methods"]["idle"]["mean"], found["methods"]["idle"]["errors"]), (None, 1))
        self.assertEqual(found["methods"]["add"]["outcomes"], {"returned": 4})

    def test_a_duration_above_the_last_bucket_is_shown_as_such(self) -> None:
        slow = method("slow", latency=Latency(1000.0, [0] * (PLACES - 1) + [1]))
        text = "\n".join(lines("Calculator", 1, compare("Calculator", look(1.0, worker(slow)), None)))
        self.assertIn("> 300 s", text)
