"""The journal of the probe: how often a method was run, and how often at a time in one process."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools.faults.probe import Journal


class JournalTests(SynchronousTestCase):
    """A file with a line a run."""

    def setUp(self) -> None:
        self.journal = Journal(Path(self.mktemp()))

    def test_counts_the_runs_of_a_method_by_number(self) -> None:
        """Other methods do not count."""
        for method, number in (("work", 1), ("work", 1), ("work", 2), ("worked", 1)):
            self.journal.write(method, number)
        self.assertEqual(self.journal.runs("work"), {1: 2, 2: 1})

    def test_finds_the_most_runs_of_a_number_at_a_time_in_one_process(self) -> None:
        """Runs one after another, and runs in two processes, are not at a time."""
        self.journal.file.write_text("work 1 10\nwork 1 20\nworked 1 10\nwork 1 10\nwork 2 10\n")
        self.assertEqual(self.journal.most_at_once("work", "worked"), 1)
        self.journal.file.write_text("work 1 10\nwork 1 10\nworked 1 10\nworked 1 10\n")
        self.assertEqual(self.journal.most_at_once("work", "worked"), 2)
