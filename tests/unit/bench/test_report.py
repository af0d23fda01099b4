"""The page that a run leaves."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.bench.canned import MACHINE, canned
from tools.bench.figures import Spread
from tools.bench.profiles import layer, shortened
from tools.bench.report import table, told, write
from tools.bench.results import Results


class ReportTests(SynchronousTestCase):
    """``docs/performance.md`` of results that are made up."""

    def setUp(self) -> None:
        """Write it."""
        self.page = write(canned())

    def assert_line(self, *parts: str) -> None:
        """One of the page's lines has all of `parts`."""
        found = [line for line in self.page.splitlines() if all(part in line for part in parts)]
        self.assertNotEqual(found, [], f"no line with {parts} in:\n{self.page}")

    def test_goals_say_whether_they_are_met(self) -> None:
        """With the measured ratio, its spread, and the goals without figures."""
        self.assert_line("| librabbitmq in C | 100 | ≥ 0.45 × | 0.6 × (0.5–0.9) | met |")
        self.assert_line("grpc.aio", "≥ 3.5 × | 3 × (2–3) | **not met** |")
        self.assert_line("TTwisted", "not measured")
        self.assert_line("the best of", "without oslo.messaging, nameko, FastStream, kombu on py-amqp")

    def test_rates_have_their_spread(self) -> None:
        """The median of the rounds, the least and the most."""
        self.assert_line("| this project | RabbitMQ | 1,000 (900–1,200) |")

    def test_callers_have_a_table_of_their_own(self) -> None:
        """Their rates, and the ratios of the same run. The run is named."""
        section = self.page.partition("## Ways to call")[2].partition("\n## ")[0]
        self.assertIn("| this project, Twisted | RabbitMQ | – | 1,100 (1,000–1,200) |\n", section)
        self.assertIn("| this project, rpc.blocking in threads | RabbitMQ | 270 (240–300) | – |\n", section)
        self.assertIn("| 100 | ≥ 0.85 × | 0.875 × (0.75–1) | met |\n", section)
        self.assertIn("| 8 | ≥ 3 × | 2.5 × (2–3) | **not met** |", section)
        self.assert_line("| callers measured | 2026-01-05 06:07 UTC, def |")

    def test_figures_of_callers_are_in_no_other_table(self) -> None:
        """The other tables are of other runs."""
        results = canned()
        results.callers = []
        before, _, rest = self.page.partition("## Ways to call")
        self.assertEqual(write(results), before + rest[rest.index("## ") :])

    def test_where_there_is_no_broker_it_takes_no_time(self) -> None:
        """Microseconds of client, server and broker."""
        self.assert_line("| this project | 100 (83.3–111) | 200 (167–222) | 300 (250–333) |")
        self.assert_line("| grpc.aio | 250 (200–333) | 500 (400–667) | – |")

    def test_a_peer_that_falls_behind_is_named(self) -> None:
        """Instead of a latency that only tells how long the run was."""
        self.assert_line("| this project | 1 / 2.5 |")
        self.assert_line("| aio-pika RPC | falls behind |")

    def test_growth_is_told_with_its_points(self) -> None:
        """Each in its unit."""
        self.assert_line("| client connections | 1 → 64 | ≤ 1.5 × | 2 × | **not met** |")
        self.assert_line("| calls in flight, memory a call | 100,000 | ≤ 3 KiB | 2 KiB | met |")
        self.assert_line("| calls made: memory of the client | 2,000,000 | 101 | MiB |")

    def test_the_traffic_jam_is_a_race(self) -> None:
        """Seconds of both, and how many times as fast."""
        self.assert_line("| 10,000 calls | 8 s | 0.5 s | 16 × |")

    def test_a_profile_is_told_by_layer_and_by_function(self) -> None:
        """A function that is missing in a profile took no time; unknown files are Python's."""
        self.assertIn("| in flight | client, 100 | worker, 100 |", self.page)
        self.assertIn("| AMQP: frames, properties, publishing | 2.5 | 3.2 |", self.page)
        self.assertIn("| calls: correlation, deadlines, serving | 0.0 | 0.8 |", self.page)
        self.assertIn("| `_runCallbacks` (twisted/internet/defer.py) | 1.5 | 0.0 |", self.page)
        self.assertEqual(layer("selectors.py"), "Python's own")
        self.assertEqual(shortened("/a/rpc/b/site-packages/twisted/internet/tcp.py"), "twisted/internet/tcp.py")

    def test_a_peer_that_failed_is_told_with_its_last_words(self) -> None:
        """Every failed peer is named; its error is not read as Markdown."""
        self.assertIn("## What failed", self.page)
        self.assertIn(
            "nameko, 100 in flight:\n\n    the server ended with status 1\n    no such queue\n", self.page + "\n"
        )

    def test_the_place_and_the_versions_are_told(self) -> None:
        """Versions of the peer's own packages, not of all that are installed."""
        self.assert_line("machine", "2 cores of Some Processor, 4 GiB, Linux 6")
        self.assert_line("| throughput measured | 2026-01-02 03:04 UTC, abc |")
        self.assert_line("| this project | thrift-amqp-rpc 0.1.0, Twisted 26.10.0 |")
        self.assertNotIn("| this project, Twisted |", self.page[self.page.index("## When and on what") :])

    def test_notes_are_taken_over(self) -> None:
        """Notes stand before the facts."""
        page = write(canned(), "## What stands in the way\n\nThe reactor.\n")
        self.assertLess(page.index("The reactor."), page.index("## When and on what"))

    def test_a_report_without_figures_has_the_goals(self) -> None:
        """A page without results has no empty tables."""
        page = write(Results(MACHINE))
        self.assertIn("not measured", page)
        self.assertNotIn("## Latency", page)
        self.assertNotIn("## What failed", page)


class CellTests(SynchronousTestCase):
    """Values in tables."""

    def test_one_value_has_no_spread(self) -> None:
        """There is nothing to tell of it but the value."""
        self.assertEqual(told(Spread(1234.0, 1234.0, 1234.0, 1), unit=" s"), "1,230 s")
        self.assertEqual(told(None), "–")

    def test_a_table_is_markdown(self) -> None:
        """Numbers stand to the right."""
        self.assertEqual(table(("", "n"), [("a", "1")]), "|  | n |\n| --- | ---: |\n| a | 1 |")
