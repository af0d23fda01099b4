"""Runs the reactor for the cases of a protocol, as trial does for one test: so nothing is left in the reactor."""

from __future__ import annotations

from functools import cache
from unittest import TestResult

from twisted.trial.unittest import TestCase

from tests.cross_test.cases import CASES
from tests.cross_test.playing import Played, play
from tests.cross_test.programs import stubs


class _Play(TestCase):
    timeout = 120.0

    def __init__(self, url: str, protocol: str) -> None:
        super().__init__("play")
        self._url, self._protocol = url, protocol
        self.played: dict[str, Played] = {}

    async def play(self) -> None:
        known = stubs()
        cases = [case for case in CASES if case.service in known and self._protocol in case.protocols]
        self.played = await play(self._url, self._protocol, known, cases)
        self.flushLoggedErrors()  # of the handlers that failed


@cache
def run(url: str, protocol: str) -> tuple[dict[str, Played], str]:
    """Play all cases of a protocol on a broker, once; return them by name, and what went wrong with all of them."""
    test, result = _Play(url, protocol), TestResult()
    test(result)
    return test.played, "\n".join(text for _, text in (*result.errors, *result.failures))
