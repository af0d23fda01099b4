"""Which peers a run needs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tools.bench.catalogue import BY_NAME, CALLERS, PEERS, needed
from tools.bench.goals import CALLER_GOALS, GOALS


class NeededPeersTests(SynchronousTestCase):
    """Only these are installed."""

    def test_each_part_has_its_list(self) -> None:
        """Libraries are compared in one part, ways to call in the other."""
        libraries, callers = ({peer.name for peer in peers} for peers in (PEERS, CALLERS))
        self.assertEqual(set(needed(["callers"])), callers)
        self.assertEqual(set(needed(["throughput", "jam"])), libraries)
        self.assertEqual(set(needed(["throughput", "callers"])), libraries | callers)

    def test_a_name_that_is_asked_for_chooses(self) -> None:
        """It counts only in the parts that have the peer."""
        self.assertEqual(set(needed(["callers"], ["ours", "ours_gateway", "nats_py"])), {"ours", "ours_gateway"})

    def test_the_goals_compare_what_is_measured(self) -> None:
        """With the number of calls in flight that the goal names."""
        for goals, peers in ((GOALS, PEERS), (CALLER_GOALS, CALLERS)):
            measured = {(peer.name, in_flight) for peer in peers for in_flight in peer.in_flight}
            wanted = {(name, goal.in_flight) for goal in goals for name in (goal.of, *goal.peers)}
            self.assertEqual(wanted - measured, set())

    def test_each_has_its_program_and_requirements(self) -> None:
        """Also those that share a folder."""
        for peer in BY_NAME.values():
            program, needs = ("bench.c", "bench.c") if peer.build == "c" else ("bench.py", "requirements.txt")
            self.assertTrue((peer.folder / program).is_file() and (peer.folder / needs).is_file(), peer)
