"""Good calls at a steady rate, and one hostile message before each."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall

from tools.hostile.messages import hostile_messages
from tools.hostile.peer import HostilePeer

PERIOD = 0.001
"""Seconds between two looks at which calls are due."""


class WrongAnswer(Exception):
    """A good call was answered with something else than its sum."""


async def call_many(client: Any, calls: int, rate: float, before: Callable[[], None]) -> list[float]:
    """Call ``Calculator.add`` so many times a second, also when answers are late.

    :param before: called before each call.
    :return: the seconds that each call took.
    :raises RPCError: a call has failed.
    :raises WrongAnswer: see there.
    """
    seconds: list[float] = []
    made: list[Deferred[None]] = []
    began = time.perf_counter()

    async def call(number: int) -> None:
        answer = await client.add(number, 1)
        seconds.append(time.perf_counter() - began - number / rate)  # from when it was due
        if answer != number + 1:
            raise WrongAnswer(f"{number} + 1 = {answer}")

    def call_those_due() -> None:
        due = min(calls, int((time.perf_counter() - began) * rate) + 1)
        for number in range(len(made), due):
            before()
            made.append(Deferred.fromCoroutine(call(number)))
        if len(made) == calls:
            pacing.stop()

    pacing = LoopingCall(call_those_due)
    await pacing.start(PERIOD)
    await gatherResults(made, consumeErrors=True)
    return seconds


def publisher(
    peer: HostilePeer, service: str, seed: int, count: int, *, with_arrays: bool = True
) -> Callable[[], None]:
    """Return a function that publishes the next of `count` hostile messages to a service at each call.

    They are made before, so that their making costs the calls no time.
    """
    messages = iter([*islice(hostile_messages(seed, service, peer.reply_queue, with_arrays=with_arrays), count)])

    def publish() -> None:
        body, properties = next(messages)
        peer.publish(service, body, properties)

    return publish


def percentile(seconds: list[float], percent: float) -> float:
    """Return the time within which so many percent of the calls were answered."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * percent / 100))]
