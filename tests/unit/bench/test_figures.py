"""Medians, spreads and ratios."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tools.bench.figures import Spread, best, ratios, round_number


class FiguresTests(SynchronousTestCase):
    """The figures of several rounds."""

    def test_a_spread_is_median_least_and_most(self) -> None:
        """In any order of the values; of an even number, the middle two count alike."""
        self.assertEqual(Spread.of([3.0, 1.0, 10.0]), Spread(3.0, 1.0, 10.0, 3))
        self.assertEqual(Spread.of([4.0, 2.0]), Spread(3.0, 2.0, 4.0, 2))

    def test_of_no_values_there_is_no_spread(self) -> None:
        """A peer that failed has none."""
        self.assertIsNone(Spread.of([]))

    def test_ratios_are_taken_round_by_round(self) -> None:
        """A round that slows both down does not show; a round that one of them lacks does not count."""
        self.assertEqual(ratios({1: 10.0, 2: 1.0, 3: 7.0}, {1: 5.0, 2: 0.5, 4: 1.0}), [2.0, 2.0])

    def test_the_best_is_found_in_each_round(self) -> None:
        """It may be another peer each time."""
        self.assertEqual(best([{1: 10.0, 2: 3.0}, {2: 4.0, 3: 1.0}]), {1: 10.0, 2: 4.0, 3: 1.0})

    def test_numbers_have_three_digits(self) -> None:
        """More would be noise; thousands are separated, and zeros behind the point left out."""
        written = {12345.6: "12,300", 0.123456: "0.123", 2.0: "2", 0: "0", 999.7: "1,000", 100: "100"}
        self.assertEqual({value: round_number(value) for value in written}, written)
