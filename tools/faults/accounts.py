"""The account of calls: every call carries a number, and must be settled in time, by its own answer, and once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from tools.faults.probe import Ask
from tools.faults.waiting import POLL, clock, pause, together

GRACE = 1.0
"""Seconds past its deadline after which a call that is not settled counts as one that never is."""


class Account:
    """The outcomes of calls.

    :ivar begun: how many there were.
    :ivar answered: numbers of calls that had their answer, with the time at which it came.
    :ivar failed: how many calls ended with which error, by the error's name.
    :ivar words: the message of the first error of each name.
    :ivar wrong: calls that had another call's answer.
    :ivar late: calls that were settled more than a second after their deadline.
    :ivar latencies: seconds from each call to its end, by the word for how it ended: an error's name, or "answered".
    """

    def __init__(self) -> None:
        self._numbers = count(1)
        self._open: dict[int, float] = {}
        self.begun = 0
        self.answered: dict[int, float] = {}
        self.failed: Counter[str] = Counter()
        self.words: dict[str, str] = {}
        self.wrong = 0
        self.late = 0
        self.latencies: dict[str, list[float]] = {}

    @property
    def open(self) -> int:
        """Calls that are not settled."""
        return len(self._open)

    @property
    def errors(self) -> int:
        """Calls that failed."""
        return sum(self.failed.values())

    @property
    def unfired(self) -> int:
        """Calls that were not settled a second past their deadline."""
        now = clock.seconds()
        return self.late + len([deadline for deadline in self._open.values() if deadline + GRACE < now])

    @property
    def slowest(self) -> float:
        """Seconds that the slowest call took to be settled."""
        return max((max(each) for each in self.latencies.values()), default=0.0)

    def gap(self, since: float) -> float:
        """Seconds from `since`, of the reactor's clock, to the first answer thereafter; infinity when there is none."""
        return min((at - since for at in self.answered.values() if at >= since), default=float("inf"))

    def told(self) -> str:
        """In words, how calls ended."""
        ends = [f"{len(self.answered):,} of {self.begun:,} answered"]
        ends += [f"{number:,} {name}" for name, number in self.failed.most_common()]
        return ", ".join(ends)

    def ask(self, ask: Ask, timeout: float) -> Deferred[bool]:
        """Make one call, which has `timeout` seconds. Fires when it is settled, with whether it was answered."""
        number = next(self._numbers)
        began = clock.seconds()
        self.begun += 1
        self._open[number] = began + timeout
        try:
            asked = ask(number)
        except Exception:
            asked = fail(Failure())
        return asked.addBoth(self._settled, number, began)

    def _settled(self, answer: Any, number: int, began: float) -> bool:
        now = clock.seconds()
        if self._open.pop(number) + GRACE < now:
            self.late += 1
        end = "answered"
        if isinstance(answer, Failure):
            end = type(answer.value).__name__
            self.failed[end] += 1
            self.words.setdefault(end, str(answer.value))
        elif answer is not None and answer != number:
            self.wrong += 1
        else:
            self.answered[number] = now
        self.latencies.setdefault(end, []).append(now - began)
        return end == "answered"

    async def at_rate(self, ask: Ask, rate: float, calls: int, timeout: float) -> None:
        """Begin so many calls a second, without waiting for earlier ones. Comes back when all are begun."""
        began = clock.seconds()
        for number in range(calls):
            while (early := began + number / rate - clock.seconds()) > 0:
                await pause(early)
            self.ask(ask, timeout)

    async def in_lanes(self, ask: Ask, lanes: int, goes_on: Callable[[], bool], timeout: float) -> None:
        """Keep so many calls under way while `goes_on` says so. Comes back when all are settled."""

        async def lane() -> None:
            while goes_on():
                if not await self.ask(ask, timeout):
                    await pause(POLL)  # calls that fail at once would block the reactor

        await together(lane() for _ in range(lanes))

    async def settled(self) -> None:
        """Wait until every call is settled, or should have been."""
        while any(deadline + GRACE >= clock.seconds() for deadline in self._open.values()):
            await pause(POLL)
