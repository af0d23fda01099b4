"""The order of the connections whose input waits: :mod:`rpc.broker.usage`."""

from __future__ import annotations

from math import log, log2

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from rpc.broker.usage import HALF_LIFE, LEAST, NEW, Usage

BUSY = HALF_LIFE / log(2)
"""What a connection has taken that works all the time."""

MOMENTS = some.floats(0, 5 * HALF_LIFE)
TAKEN = some.floats(0.01, BUSY)


def usage_of(seconds: float, now: float) -> Usage:
    """A connection that has taken this time, at once."""
    usage = Usage(now - 1000 * HALF_LIFE)
    usage.add(now, seconds)
    return usage


class UsageTests(SynchronousTestCase):
    """The usage of one connection."""

    @given(TAKEN, TAKEN, MOMENTS, MOMENTS, MOMENTS)
    def test_ranks_of_two_moments_have_the_order_of_the_usages_at_a_later_one(
        self, one: float, other: float, first: float, second: float, after: float
    ) -> None:
        ranks = usage_of(one, first).rank(first), usage_of(other, second).rank(second)
        later = max(first, second) + after
        left = [taken * 0.5 ** ((later - at) / HALF_LIFE) for taken, at in ((one, first), (other, second))]
        self.assertAlmostEqual(ranks[0] - ranks[1], log2(left[0] / left[1]))

    def test_an_idle_connection_ranks_higher_than_a_busy_one_that_has_waited_longest(self) -> None:
        """So no wait is longer than that."""
        longest = HALF_LIFE * log2(BUSY / LEAST)
        waiting = usage_of(BUSY, 0.0).rank(0.0)
        idle = usage_of(0.0, 0.0)
        self.assertLess(idle.rank(longest - 0.01), waiting)
        self.assertGreater(idle.rank(longest + 0.01), waiting)

    def test_ranks_at_any_age_of_the_broker(self) -> None:
        """Also after a year without input."""
        year = 365 * 86400.0
        self.assertEqual(Usage(0.0).rank(year), log2(LEAST) + year / HALF_LIFE)
        self.assertEqual(Usage(year).rank(year), log2(NEW) + year / HALF_LIFE)

    def test_a_connection_that_works_all_the_time_has_a_bound(self) -> None:
        usage, now, step = Usage(0.0), 0.0, HALF_LIFE / 1000
        while now < 20 * HALF_LIFE:
            usage.add(now, step)
            now += step
        taken = 2 ** (usage.rank(now) - now / HALF_LIFE)
        self.assertAlmostEqual(taken / BUSY, 1.0, 1)

    def test_the_time_of_a_read_after_a_long_pause_counts(self) -> None:
        """The usage before the pause is forgotten, and not the read."""
        usage = Usage(0.0)
        usage.add(60 * HALF_LIFE, 0.01)
        self.assertAlmostEqual(usage.rank(60 * HALF_LIFE), log2(0.01) + 60)
