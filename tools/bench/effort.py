"""How much is measured: everything that bounds a run."""

from __future__ import annotations

import attrs

MEGABYTE = 1_000_000
"""Not 2^20: 16 MiB is the limit of brokers, and ours, for a whole message."""

PARTS = ("throughput", "callers", "latency", "growth", "jam", "profile")


@attrs.frozen
class Effort:
    """Counts and times.

    :ivar calls: calls of one measurement; 0: as many as take about `seconds`, which a first round finds out.
    :ivar rates: calls begun a second, for latencies; each for `rate_seconds`.
    :ivar caller_seconds: the same of the ways to call.
    :ivar slow_rounds: rounds of the long measurements.
    :ivar crowd: calls in flight, where another quantity is varied.
    :ivar reply_bytes: bytes that are fetched in replies of each of the sizes.
    :ivar profile: calls in flight, and calls, of each profile.
    :ivar day: calls after which memory is looked at for the last time; the first is after `day_step`.
    """

    rounds: int = 5
    calls: int = 0
    seconds: float = 3.0
    caller_seconds: float = 1.0
    slow_rounds: int = 3
    rates: tuple[int, ...] = (250, 500, 1000, 2000, 4000, 8000)
    rate_seconds: float = 2.0
    crowd: int = 1000
    growth_calls: int = 20_000
    connections: tuple[int, ...] = (1, 4, 16, 64)
    services: tuple[int, ...] = (1, 10, 50, 200)
    workers: tuple[int, ...] = (1, 2)
    in_flight: tuple[int, ...] = (1_000, 10_000, 100_000)
    depths: tuple[int, ...] = (30_000, 1_000_000)
    drained: int = 30_000
    reply_sizes: tuple[int, ...] = (32, 1_000, 32_000, MEGABYTE, 16 * MEGABYTE)
    reply_bytes: int = 256 * MEGABYTE
    reply_calls: int = 5_000
    day: int = 2_000_000
    day_step: int = 100_000
    jam: int = 10_000
    profile: tuple[tuple[int, int], ...] = ((1, 5_000), (100, 60_000), (1_000, 60_000))


QUICK = Effort(
    rounds=1,
    calls=200,
    slow_rounds=1,
    rates=(100, 200),
    rate_seconds=0.5,
    crowd=100,
    growth_calls=200,
    connections=(1, 4),
    services=(1, 10),
    in_flight=(100, 1_000),
    depths=(4_000, 8_000),
    drained=4_000,
    reply_sizes=(32, MEGABYTE, 16 * MEGABYTE),
    reply_bytes=32 * MEGABYTE,
    reply_calls=50,
    day=2_000,
    day_step=500,
    jam=200,
    profile=((1, 200), (100, 1_000)),
)
"""Enough to see that everything runs. The figures mean nothing."""
