"""Consumers in turn, against a plain list of who waits."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from rpc.broker.turns import Turns


@attrs.define(eq=False)
class Taker:
    """A consumer, as far as its turn hangs on it."""

    priority: int = 0
    room: int = 1
    queued: bool = False

    def has_room(self) -> bool:
        """Whether there is room."""
        return self.room > 0


steps = some.lists(some.tuples(some.sampled_from(["add", "drop", "next"]), some.integers(0, 4)), max_size=40)


class TurnsTests(SynchronousTestCase):
    """Turns."""

    @given(some.lists(some.tuples(some.integers(-1, 1), some.integers(0, 3)), min_size=5, max_size=5), steps)
    def test_any_steps(self, made: list[tuple[int, int]], steps: list[tuple[str, int]]) -> None:
        """However they come and go, it is the turn of the one who has waited longest of the highest priority."""
        takers = [Taker(priority, room) for priority, room in made]
        turns: Turns[Taker] = Turns()
        line: list[Taker] = []
        for step, number in steps:
            taker = takers[number]
            if step == "add" and not taker.queued:
                turns.add(taker)
                line.append(taker)
            elif step == "drop":
                turns.drop(taker)
                line = [each for each in line if each is not taker]
            elif step == "next":
                highest = max((each.priority for each in line if each.room), default=None)
                found = turns.next()
                if highest is None:
                    self.assertIsNone(found)
                    line.clear()
                else:
                    expected = next(each for each in line if each.room and each.priority == highest)
                    self.assertIs(found, expected)
                    # Whoever was found without room on the way is out.
                    passed = line[: line.index(expected)]
                    gone = [each for each in line if not each.room and each.priority > highest]
                    gone += [each for each in passed if not each.room and each.priority == highest]
                    line = [each for each in line if each is not expected and each not in gone] + [expected]
                    expected.room -= 1
            self.assertEqual({id(each) for each in takers if each.queued}, {id(each) for each in line})

    def test_nobody(self) -> None:
        """Where nobody waits it is nobody's turn."""
        self.assertIsNone(Turns[Taker]().next())

    def test_alone(self) -> None:
        """One consumer has every turn while there is room, and is out when there is none."""
        turns: Turns[Taker] = Turns()
        taker = Taker(room=2)
        turns.add(taker)
        found = []
        while (now := turns.next()) is not None:
            now.room -= 1
            found.append(now)
        self.assertEqual((found, taker.queued, [*turns]), ([taker, taker], False, []))
