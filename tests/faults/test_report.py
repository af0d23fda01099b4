"""The page has every observation, also of failures, and can be made again from the results."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools.faults import report, results
from tools.faults.peers import PeerResult
from tools.faults.results import Results, Seen
from tools.faults.scenario import Result

KEPT = Result("broker-killed", "a fault", "a promise", "100 % | all", True, 0, 0, {}, (9, 9), 1.0)
BROKEN = Result("flood", "a flood", "no tears", "failed: Late: a\nb", False, 2, 1, {"client._calls": 3}, (9, 9), 1.0)


class ReportTests(SynchronousTestCase):
    """From results to the page."""

    def setUp(self) -> None:
        self.found = Results(
            versions={"RabbitMQ": "3.10"},
            machine="a machine",
            seen={each.name: Seen(each, "2026-01-01 UTC, abc", "full") for each in (KEPT, BROKEN)},
            peers={
                "ours": PeerResult("ours", "this project", "x 1.0", 300, 300, 0, 0, 0, 6.5, ""),
                "other": PeerResult("other", "another", "y 2.0", problem="cannot be installed"),
            },
            peers_taken="2026-01-01 UTC, abc",
        )

    def test_each_fault_is_a_row(self) -> None:
        """Each fault is a row, with its counts; text fits into its cell."""
        page = report.write(self.found)
        self.assertIn("1 of 2 promises were kept.", page)
        self.assertIn("| a fault | a promise | 100 % \\| all | met | 0, 0, 0 |\n", page)
        self.assertIn("| a flood | no tears | failed: Late: a b | **not met** | 2, 1, 3 (client._calls) |\n", page)

    def test_each_peer_is_a_row(self) -> None:
        """Peers are told of, also those that could not be tried."""
        page = report.write(self.found)
        self.assertIn("| this project | 300 | 0 | 0 | 6.5 s |  |\n", page)
        self.assertIn("| another |  |  |  |  | cannot be installed |\n", page)

    def test_results_are_written_and_read_again(self) -> None:
        """Results that are written are read again."""
        file = Path(self.mktemp())
        self.found.write(file)
        self.assertEqual(results.read(file), self.found)
