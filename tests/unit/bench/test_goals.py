"""Whether goals are met."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.bench.canned import MACHINE, canned, sample
from tools.bench.figures import Spread
from tools.bench.goals import CALLER_GOALS, GOALS, Goal, Verdict, judge, judge_callers, judge_growth
from tools.bench.results import GrowthSample, Results


class GoalTests(SynchronousTestCase):
    """Our figures beside others'."""

    def test_the_median_of_the_rounds_ratios_counts(self) -> None:
        """0.5, 0.6 and 0.9 of librabbitmq's rate make 0.6, though the medians of the rates would make 0.5."""
        verdict = Goal("C", ("librabbitmq",), 100, least=0.55).judge(canned().samples)
        self.assertEqual((verdict.seen, verdict.met), (Spread(0.6, 0.5, 0.9, 3), True))
        self.assertEqual(Goal("C", ("librabbitmq",), 100, least=0.65).judge(canned().samples).met, False)

    def test_the_best_of_several_is_the_measure(self) -> None:
        """A peer that has no figures is named, for the best might have been it."""
        verdict = Goal("several", ("aio_pika", "nameko"), 100, least=8).judge(canned().samples)
        self.assertEqual((verdict.seen, verdict.met), (Spread(10.0, 8.0, 10.0, 3), True))
        self.assertEqual(verdict.remark, "without nameko")

    def test_a_bound_on_cpu_is_an_upper_one(self) -> None:
        """Of our client's processor time a call."""
        samples = [sample("ours", 1, 100, client_cpu=0.3), sample("nats_py", 1, 100, client_cpu=0.2)]
        self.assertEqual(Goal("CPU", ("nats_py",), 100, most=1.0).judge(samples).met, False)
        self.assertEqual(Goal("CPU", ("nats_py",), 100, most=2.0).judge(samples).met, True)

    def test_a_goal_without_figures_is_neither_met_nor_missed(self) -> None:
        """Every goal is judged, and says so."""
        nothing = Results(MACHINE)
        verdicts = judge(nothing) + judge_callers(nothing) + judge_growth(nothing)
        self.assertGreater(len(verdicts), len(GOALS) + len(CALLER_GOALS))
        self.assertEqual({(each.seen, each.met) for each in verdicts}, {(None, None)})

    def test_callers_are_compared_within_their_own_run(self) -> None:
        """``rpc.aio`` with Twisted in that run, and ``rpc.blocking`` with kombu, in eight threads."""
        asyncio, blocking = judge_callers(canned())
        self.assertEqual((asyncio.at, asyncio.seen, asyncio.met), ("100", Spread(0.875, 0.75, 1.0, 2), True))
        self.assertEqual((blocking.at, blocking.seen, blocking.met), ("8", Spread(2.5, 2.0, 3.0, 2), False))


class GrowthTests(SynchronousTestCase):
    """How our cost grows."""

    def judged(self, *samples: GrowthSample) -> dict[str, Verdict]:
        """Verdicts by subject."""
        return {each.subject: each for each in judge_growth(Results(MACHINE, growth=list(samples)))}

    def test_half_the_rate_is_twice_the_cost(self) -> None:
        """From the first point to the last; those between do not count."""
        verdict = {each.subject: each for each in judge_growth(canned())}["client connections"]
        self.assertEqual((verdict.at, verdict.seen, verdict.met), ("1 → 64", Spread(2.0, 2.0, 2.0, 1), False))

    def test_memory_of_a_call_counts_at_the_most_calls(self) -> None:
        """With few calls, memory that is allocated once weighs too much."""
        verdict = {each.subject: each for each in judge_growth(canned())}["calls in flight, memory a call"]
        self.assertEqual((verdict.at, verdict.seen, verdict.met), ("100,000", Spread(2.0, 2.0, 2.0, 1), True))

    def test_memory_after_a_day_is_held_to_a_closer_bound(self) -> None:
        """Six percent more are a leak."""
        kept, grown = (
            self.judged(
                GrowthSample("day_worker", "ours", 100, 1, 100.0), GrowthSample("day_worker", "ours", 200, 1, after)
            )["calls made, the worker's memory"]
            for after in (104.0, 106.0)
        )
        self.assertEqual((kept.met, grown.met), (True, False))

    def test_large_replies_are_compared_with_each_other(self) -> None:
        """A byte of a small reply bears the whole call."""
        samples = [
            GrowthSample("replies", "ours", size, 1, rate)
            for size, rate in ((32, 1.0), (1_000_000, 1000.0), (16_000_000, 800.0))
        ]
        verdict = self.judged(*samples)["bytes of a reply, time a byte"]
        self.assertEqual((verdict.seen, verdict.met), (Spread(1.25, 1.25, 1.25, 1), True))
