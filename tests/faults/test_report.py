"""The page has every observation, also of failures, and can be made again from the results."""

from __future__ import annotations

from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tools.faults import report, results
from tools.faults.peers import PeerResult
from tools.faults.results import Results, Run, Seen
from tools.faults.scenario import Result

TAKEN = "2026-01-01 UTC, abc"
KEPT = Result("broker-killed", "a fault", "a promise", "100 % | all", True, 0, 0, {}, (9, 9), 1.0)
BROKEN = Result("flood", "a flood", "no tears", "failed: Late: a\nb", False, 2, 1, {"client._calls": 3}, (9, 9), 1.0)


class ReportTests(SynchronousTestCase):
    """From results to the page."""

    def setUp(self) -> None:
        self.found = Results(
            machine="a machine",
            runs={
                "10.0": Run({"RabbitMQ": "10.0.1"}, {"flood": Seen(attrs.evolve(BROKEN, met=True), TAKEN, "full")}),
                "9.1": Run({"RabbitMQ": "9.1.2"}, {each.name: Seen(each, TAKEN, "full") for each in (KEPT, BROKEN)}),
            },
            peers={
                "ours": PeerResult("ours", "this project", "x 1.0", 300, 300, 0, 0, 0, 6.5, ""),
                "other": PeerResult("other", "another", "y 2.0", problem="cannot be installed"),
            },
            peers_taken="2026-01-01 UTC, abc",
        )

    def test_each_fault_is_a_row(self) -> None:
        """Each fault is a row, with its counts; text fits into its cell."""
        page = report.write(self.found)
        self.assertIn("1 of 2 promises were kept on RabbitMQ 9.1.\n1 of 1 promises were kept on RabbitMQ 10.0", page)
        self.assertIn("| fault | promise | RabbitMQ 9.1 | RabbitMQ 10.0 |\n", page)
        kept = "met: 100 % \\| all; unfired 0, wrong 0, left 0"
        self.assertIn(f"| a fault | a promise | {kept} | not tried |\n", page)
        seen = "failed: Late: a b; unfired 2, wrong 1, left 3 (client._calls)"
        self.assertIn(f"| a flood | no tears | **not met**: {seen} | met: {seen} |\n", page)
        self.assertIn("| faults on | RabbitMQ 9.1.2 |\n", page)

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
