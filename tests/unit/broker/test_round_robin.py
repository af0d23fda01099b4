"""Round-robin, against a plain list."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from rpc.broker.round_robin import RoundRobin, rotate_past


@attrs.define(eq=False)
class Candidate:
    """A consumer, as far as the choice of the next one needs it."""

    priority: int = 0
    credit: int = 1
    in_rotation: bool = False

    def can_take(self) -> bool:
        """Whether it has credit."""
        return self.credit > 0


steps = some.lists(some.tuples(some.sampled_from(["add", "drop", "next"]), some.integers(0, 4)), max_size=40)


class RoundRobinTests(SynchronousTestCase):
    """RoundRobin."""

    @given(some.lists(some.tuples(some.integers(-1, 1), some.integers(0, 3)), min_size=5, max_size=5), steps)
    def test_returns_the_candidate_that_is_first_in_a_plain_list(
        self, made: list[tuple[int, int]], steps: list[tuple[str, int]]
    ) -> None:
        """After any steps: of the highest priority, the one that was served longest ago."""
        consumers = [Candidate(priority, credit) for priority, credit in made]
        rotation: RoundRobin[Candidate] = RoundRobin()
        line: list[Candidate] = []
        for step, number in steps:
            candidate = consumers[number]
            if step == "add" and not candidate.in_rotation:
                rotation.add(candidate)
                line.append(candidate)
            elif step == "drop":
                rotation.remove(candidate)
                line = [each for each in line if each is not candidate]
            elif step == "next":
                highest = max((each.priority for each in line if each.credit), default=None)
                found = rotation.next()
                if highest is None:
                    self.assertIsNone(found)
                    line.clear()
                else:
                    expected = next(each for each in line if each.credit and each.priority == highest)
                    self.assertIs(found, expected)
                    # candidates that could take nothing have left the rotation
                    passed = line[: line.index(expected)]
                    gone = [each for each in line if not each.credit and each.priority > highest]
                    gone += [each for each in passed if not each.credit and each.priority == highest]
                    line = [each for each in line if each is not expected and each not in gone] + [expected]
                    expected.credit -= 1
            self.assertEqual({id(each) for each in consumers if each.in_rotation}, {id(each) for each in line})

    def test_an_empty_rotation_returns_nothing(self) -> None:
        self.assertIsNone(RoundRobin[Candidate]().next())

    def test_one_candidate_is_returned_until_it_can_take_no_more(self) -> None:
        rotation: RoundRobin[Candidate] = RoundRobin()
        candidate = Candidate(credit=2)
        rotation.add(candidate)
        found = []
        while (now := rotation.next()) is not None:
            now.credit -= 1
            found.append(now)
        self.assertEqual((found, candidate.in_rotation, len(rotation)), ([candidate, candidate], False, 0))


class RotatePastTests(SynchronousTestCase):
    """rotate_past."""

    def test_moves_all_items_up_to_a_key_behind_the_others(self) -> None:
        for key, expected in (("a", "bcda"), ("b", "cdab"), ("d", "abcd")):
            order = dict.fromkeys("abcd", 0)
            rotate_past(order, key)
            self.assertEqual("".join(order), expected)
