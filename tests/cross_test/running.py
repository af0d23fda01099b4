"""Runs the reactor for the cases of a protocol, as trial does for one test: so nothing is left in the reactor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any
from unittest import TestResult

from twisted.trial.unittest import TestCase

from tests.cross_test.cases import CASES
from tests.cross_test.doors import DOORS
from tests.cross_test.foreign_workers import WORKERS, play_against
from tests.cross_test.playing import Call, Played, Player, play
from tests.cross_test.programs import stubs
from tests.cross_test.values import Case

Pair = tuple[Call, Call]
"""The call that had to come, and the one that came."""


class _Play(TestCase):
    timeout = 120.0

    def __init__(self, begin: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        super().__init__("play")
        self._begin = begin
        self.played: dict[str, Any] = {}

    async def play(self) -> None:
        self.played = await self._begin()
        self.flushLoggedErrors()  # of the handlers that failed


def _run(begin: Callable[[], Awaitable[dict[str, Any]]]) -> tuple[dict[str, Any], str]:
    test, result = _Play(begin), TestResult()
    test(result)
    return test.played, "\n".join(text for _, text in (*result.errors, *result.failures))


def cases_in(protocol: str) -> list[Case]:
    """Return the cases of a protocol that this machine can play."""
    return [case for case in CASES if case.service in stubs() and protocol in case.protocols]


@cache
def run(url: str, protocol: str) -> tuple[dict[str, Played], str]:
    """Play all cases of a protocol on a broker, once; return them by name, and an error that concerns all of them."""
    return _run(lambda: play(url, protocol, stubs(), cases_in(protocol)))


def run_through(name: str, url: str, protocol: str, cases: list[Case]) -> tuple[dict[str, Pair], str]:
    """Have another client play cases; return the calls by case, and an error that concerns all of them."""

    async def begin() -> dict[str, Pair]:
        player, door = Player(url, protocol, stubs()), DOORS[name](url, protocol)
        async with player.harness:
            await door.open(player.names.values())
            try:
                return {case.name: await player.play_by(case, door.call) for case in cases}
            finally:
                await door.close()

    return _run(begin)


def run_against(name: str, url: str, protocol: str, cases: list[Case]) -> tuple[dict[str, Pair], str]:
    """Have our client play cases with another worker; return the same."""
    return _run(lambda: play_against(WORKERS[name](url), url, protocol, cases))
