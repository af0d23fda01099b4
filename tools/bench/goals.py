"""The goals, and whether the figures meet them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from tools.bench.catalogue import (
    BY_NAME,
    IN_THREADS,
    KOMBU_IN_THREADS,
    LIBRABBITMQ,
    ON_ASYNCIO,
    ON_EMBEDDED,
    OURS,
)
from tools.bench.effort import MEGABYTE
from tools.bench.figures import Spread, best, ratios
from tools.bench.growth import GROWTHS
from tools.bench.results import GrowthSample, Results, Sample

FLAT = 1.5
"""A cost that grows by less than this is flat."""

STEADY = 1.05
"""Memory that grows by less than this does not grow: allocators breathe."""

SLOW_PEERS = ("aio_pika", "oslo_messaging", "nameko", "faststream", "kombu")


@attrs.frozen
class Verdict:
    """A goal, and its figure.

    :ivar bound: in words.
    :ivar seen: ``None`` when it was not, or not completely, measured.
    """

    subject: str
    at: str
    bound: str
    seen: Spread | None
    met: bool | None
    remark: str = ""


@attrs.frozen
class Goal:
    """Our rate, or our client's CPU a call, beside that of the best of some peers.

    :ivar least: of the ratio of rates; ``most`` of the ratio of CPU.
    :ivar of: whose rate it is that is compared, when it is not that of this project on RabbitMQ.
    """

    subject: str
    peers: tuple[str, ...]
    in_flight: int
    least: float | None = None
    most: float | None = None
    of: str = OURS.name

    def judge(self, samples: Iterable[Sample]) -> Verdict:
        """Compare, round by round."""
        value = _rate if self.most is None else _client_cpu
        of_each = {name: _by_round(samples, name, self.in_flight, value) for name in (self.of, *self.peers)}
        ours = of_each.pop(self.of)
        found = [values for values in of_each.values() if values]
        seen = Spread.of(ratios(ours, best(found)))
        missing = [BY_NAME[name].title for name, values in of_each.items() if not values]
        bound, met = (f"≥ {self.least:g} ×", None) if self.most is None else (f"≤ {self.most:g} × its client CPU", None)
        if seen is not None:
            met = seen.median <= self.most if self.most is not None else seen.median >= (self.least or 0)
        return Verdict(
            self.subject, f"{self.in_flight:,}", bound, seen, met, f"without {', '.join(missing)}" if missing else ""
        )


def _rate(sample: Sample) -> float:
    return sample.rate


def _client_cpu(sample: Sample) -> float:
    return sample.client_cpu / sample.calls


def _by_round(
    samples: Iterable[Sample], peer: str, in_flight: int, value: Callable[[Sample], float]
) -> dict[int, float]:
    return {each.round: value(each) for each in samples if (each.peer, each.in_flight) == (peer, in_flight)}


GOALS = (
    Goal("librabbitmq in C, client and server", ("librabbitmq",), 1000, least=0.65),
    Goal("librabbitmq in C", ("librabbitmq",), 100, least=0.45),
    Goal("librabbitmq in C, one call at a time", ("librabbitmq",), 1, least=0.8),
    Goal("Thrift's TTwisted over plain TCP, no broker", ("thrift_ttwisted",), 1000, least=1.2),
    Goal("pika's Twisted adapter, bare messages", ("pika_twisted",), 100, least=1.6),
    Goal("pika's Twisted adapter, bare messages", ("pika_twisted",), 1000, least=1.6),
    Goal("txamqp.contrib.thrift, accelerated protocol", ("txamqp_thrift",), 100, least=8),
    Goal("the best of aio-pika RPC, oslo.messaging, nameko, FastStream, kombu/py-amqp", SLOW_PEERS, 100, least=8),
    Goal("gRPC for Python (grpc.aio), no broker", ("grpc_aio",), 100, least=3.5),
    Goal("nats-py, bare messages, NATS server", ("nats_py",), 100, least=0.7),
    Goal("nats-py, bare messages, NATS server", ("nats_py",), 1000, least=0.7),
    Goal("nats-py's client CPU a call", ("nats_py",), 100, most=1.0),
    Goal("nats-py's client CPU a call", ("nats_py",), 1000, most=1.0),
    Goal("the embedded broker's rate beside RabbitMQ's", (OURS.name,), 1000, least=0.5, of=ON_EMBEDDED.name),
    Goal("the same", (OURS.name,), 100, least=0.5, of=ON_EMBEDDED.name),
    # A call takes at most one and a half times as long when there are two thirds as many, one at a time.
    Goal("the same, one call at a time", (OURS.name,), 1, least=0.667, of=ON_EMBEDDED.name),
)

CALLER_GOALS = (
    Goal("rpc.aio's rate beside Twisted's", (OURS.name,), 100, least=0.85, of=ON_ASYNCIO.name),
    Goal("rpc.blocking's rate beside kombu's, in threads", (KOMBU_IN_THREADS.name,), 8, least=3, of=IN_THREADS.name),
)


def judge(results: Results) -> list[Verdict]:
    """Each goal beside other libraries."""
    return [goal.judge(results.samples) for goal in GOALS]


def judge_callers(results: Results) -> list[Verdict]:
    """Each goal of the ways to call."""
    return [goal.judge(results.callers) for goal in CALLER_GOALS]


def judge_growth(results: Results) -> list[Verdict]:
    """Each goal of how cost grows."""
    samples = results.growth
    rows = [
        _flat(samples, "connections", "client connections"),
        _flat(samples, "services", "services in a worker"),
        _flat(samples, "in_flight", "calls in flight, time a call"),
        _memory_a_call(samples),
        _flat(samples, "depth", "requests waiting in the queue"),
        _flat(samples, "replies", "bytes of a reply, time a byte", since=MEGABYTE),
        _bytes_beside_c(samples),
        _flat(samples, "workers", "workers on the same cores"),
        _steady(samples, "day_client", "calls made, the client's memory"),
        _steady(samples, "day_worker", "calls made, the worker's memory"),
    ]
    return [row for row in rows if row is not None]


def _points(samples: Iterable[GrowthSample], what: str, peer: str = OURS.name) -> dict[int, dict[int, float]]:
    """Values by point and round."""
    points: dict[int, dict[int, float]] = {}
    for sample in samples:
        if (sample.what, sample.peer) == (what, peer):
            points.setdefault(sample.at, {})[sample.round] = sample.value
    return dict(sorted(points.items()))


def _ends(samples: Iterable[GrowthSample], what: str, since: int = 0) -> tuple[int, int, Spread | None]:
    """The first and the last point, and by how much the cost has grown between them."""
    points = {at: values for at, values in _points(samples, what).items() if at >= since}
    if len(points) < 2:
        return 0, 0, None
    first, last = min(points), max(points)
    few, many = points[first], points[last]
    is_rate = what in GROWTHS and GROWTHS[what].is_rate
    return first, last, Spread.of(ratios(few, many) if is_rate else ratios(many, few))


def _flat(samples: list[GrowthSample], what: str, subject: str, since: int = 0) -> Verdict:
    return _grown(_ends(samples, what, since), subject, FLAT)


def _steady(samples: list[GrowthSample], what: str, subject: str) -> Verdict:
    return _grown(_ends(samples, what), subject, STEADY)


def _grown(ends: tuple[int, int, Spread | None], subject: str, most: float) -> Verdict:
    first, last, seen = ends
    at = "" if seen is None else f"{first:,} → {last:,}"
    return Verdict(subject, at, f"≤ {most:g} ×", seen, None if seen is None else seen.median <= most)


def _memory_a_call(samples: list[GrowthSample]) -> Verdict:
    points = _points(samples, "memory")
    last = max(points, default=0)
    seen = Spread.of(value / 1024 for value in points[last].values()) if points else None
    met = None if seen is None else seen.median <= 3
    return Verdict("calls in flight, memory a call", f"{last:,}" if last else "", "≤ 3 KiB", seen, met)


def _bytes_beside_c(samples: list[GrowthSample]) -> Verdict:
    size = MEGABYTE
    ours = _points(samples, "replies").get(size, {})
    theirs = _points(samples, "replies", LIBRABBITMQ.name).get(size, {})
    seen = Spread.of(ratios(ours, theirs))
    met = None if seen is None else seen.median >= 0.5
    return Verdict("bytes a second in replies of 1 MB, beside librabbitmq's", f"{size:,}", "≥ 0.5 ×", seen, met)
