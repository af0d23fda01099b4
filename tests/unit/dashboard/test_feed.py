"""Events for viewers."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.dashboard.feed import Feed
from rpc.dashboard.history import GAP, POINTS
from rpc.dashboard.rates import RateMeter
from rpc.dashboard.readings import Reading
from rpc.dashboard.snapshot import Broker, BrokerState, snapshot_of
from tests.unit.dashboard.readings import EPOCH, counts, reading, service, worker


def decoded(event: bytes) -> tuple[str, Any]:
    """Return the name and the data of the one event."""
    head, data, *rest = event.decode().split("\n")
    assert rest == ["", ""], rest
    return head.removeprefix("event: "), json.loads(data.removeprefix("data: "))


class FeedTests(SynchronousTestCase):
    """From snapshots to events."""

    def setUp(self) -> None:
        self.feed = Feed()
        self.meter = RateMeter()

    def delta(self, reading: Reading) -> Any:
        """Take a reading; return the data of its event."""
        name, data = decoded(self.feed.snapshot(snapshot_of(reading, self.meter.take(reading))))
        self.assertEqual(name, "delta")
        return data

    def full(self) -> Any:
        """Return the data of the event ``full``."""
        name, data = decoded(self.feed.full())
        self.assertEqual(name, "full")
        return data

    def test_a_delta_has_the_rows_that_changed(self) -> None:
        """And those that are gone, as null."""

        def answers(*running: int) -> list[Any]:
            return [worker(f"w{index}", service(f"S{index}", running=each)) for index, each in enumerate(running)]

        first = self.delta(reading(1, *answers(0, 0, 0)))
        self.assertEqual((list(first["services"]), list(first["workers"])), (["S0", "S1", "S2"], ["w0", "w1", "w2"]))
        second = self.delta(reading(2, *answers(0, 4, 0)))
        self.assertEqual((list(second["services"]), list(second["workers"])), (["S1"], ["w1"]))
        self.assertEqual(second["services"]["S1"]["running"], 4)
        third = self.delta(reading(3, *answers(0, 4)))
        self.assertEqual((third["services"], third["workers"]), ({"S2": None}, {"w2": None}))
        fourth = self.delta(reading(4, *answers(0, 4)))
        self.assertEqual(fourth, {"services": {}, "workers": {}, "point": [EPOCH + 4, 0.0, 0.0, None, None, 4.0, 0.0]})

    def test_full_has_everything(self) -> None:
        """The same as all deltas."""
        self.feed.broker(Broker("amqp://here", BrokerState.UP, EPOCH))
        for second in range(3):
            self.delta(reading(second, worker("a", service("Adder", {"add": counts(second)})), problems=("bad",)))
        full = self.full()
        self.assertEqual(sorted(full), ["broker", "failure", "points", "problems", "services", "totals", "workers"])
        self.assertEqual(full["broker"]["state"], "up")
        self.assertEqual(full["services"]["Adder"]["figures"]["rate"], 1.0)
        self.assertEqual([point[1] for point in full["points"]], [0.0, 1.0, 1.0])
        self.assertEqual(full["problems"], ["bad"])

    def test_a_broker_that_is_away_ends_the_problems(self) -> None:
        """Those of answers that were cut off, or are old."""
        self.delta(reading(1, problems=("the channel was lost",)))
        _, data = decoded(self.feed.broker(Broker("amqp://here", BrokerState.AWAY, EPOCH)))
        self.assertEqual((data["problems"], self.full()["problems"]), ([], []))

    def test_events_are_encoded_once_for_all_viewers(self) -> None:
        """Until there is something new."""
        self.delta(reading(1, worker("a", service("Adder", {"add": counts(1)}))))
        full, detail = self.feed.full(), self.feed.service("Adder", begin=False)
        self.assertIs(self.feed.full(), full)
        self.assertIs(self.feed.service("Adder", begin=False), detail)
        self.feed.broker(Broker("amqp://here", BrokerState.AWAY, EPOCH, "connection lost"))
        self.assertEqual(self.full()["broker"]["problem"], "connection lost")

    def test_a_service_has_its_methods_and_points(self) -> None:
        """All points at first, then the newest one."""
        for second in range(3):
            self.delta(reading(second, worker("a", service("Adder", {"add": counts(second, failed=second)}))))
        name, begin = decoded(self.feed.service("Adder", begin=True))
        self.assertEqual(name, "service")
        self.assertEqual(begin["methods"][0]["errors"], {"ValueError": 2})
        self.assertEqual(len(begin["points"]), 3)
        _, later = decoded(self.feed.service("Adder", begin=False))
        self.assertEqual(later["point"], begin["points"][-1])
        self.assertNotIn("points", later)

    def test_an_unknown_service_has_nothing(self) -> None:
        """Its name comes from the address of the page."""
        _, data = decoded(self.feed.service("Nope\n\ndata: x", begin=True))
        self.assertEqual(data, {"name": "Nope\n\ndata: x", "methods": [], "points": []})

    def test_the_history_is_bounded(self) -> None:
        """Also for a service; that of a service that is gone is dropped."""
        for second in range(POINTS + 5):
            self.delta(reading(second, worker("a", service("Adder"))))
        self.assertEqual(len(self.full()["points"]), POINTS)
        self.assertEqual(len(decoded(self.feed.service("Adder", begin=True))[1]["points"]), POINTS)
        self.delta(reading(POINTS + 5))
        self.assertEqual(decoded(self.feed.service("Adder", begin=True))[1]["points"], [])

    def test_a_pause_is_a_gap_of_the_lines(self) -> None:
        """No viewer looked."""
        for second in (0.0, 1.0, 1.0 + GAP + 1):
            self.delta(reading(second, worker("a", service("Adder"))))
        points = self.full()["points"]
        self.assertEqual([point[0] - EPOCH for point in points], [0.0, 1.0, 2.0, 1.0 + GAP + 1])
        self.assertEqual(points[2][1:], [None] * 6)

    def test_times_of_points_ascend(self) -> None:
        """When the time of day is set back, the history begins anew."""
        for second in (10.0, 11.0, 3.0):
            self.delta(reading(second, worker("a", service("Adder"))))
        self.assertEqual([point[0] - EPOCH for point in self.full()["points"]], [3.0])
