"""How the cost of ours grows with work: one function for each kind of work, giving one value a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import attrs

from tools.bench.catalogue import LIBRABBITMQ, OURS, Peer
from tools.bench.effort import Effort
from tools.bench.jam import QUEUE
from tools.bench.results import GrowthSample
from tools.bench.testbed import PEER_TROUBLE, Testbed
from tools.processes import ProcessFailed, resident_bytes

PATIENCE = 600.0
"""Seconds for the long measurements, and for the deadlines of their calls."""

REPLIES_IN_FLIGHT = 8


@attrs.frozen
class Growth:
    """One kind of work.

    :ivar title: of the work.
    :ivar unit: of the value.
    :ivar is_rate: whether the value is the inverse of a cost.
    :ivar points: how much work, of an :class:`~tools.bench.effort.Effort`.
    :ivar measure: takes the testbed, the peer, the effort and the point, and returns the value.
    :ivar once: whether it takes too long for several rounds.
    """

    title: str
    unit: str
    is_rate: bool
    points: Callable[[Effort], Sequence[int]]
    measure: Callable[[Testbed, Peer, Effort, int], float]
    peers: tuple[Peer, ...] = (OURS,)
    once: bool = False


def connections(testbed: Testbed, peer: Peer, effort: Effort, count: int) -> float:
    """Calls a second, spread over so many connections of one client."""
    with testbed.server(peer) as server:
        return _rate(testbed, peer, server.url, effort, "--connections", str(count))


def services(testbed: Testbed, peer: Peer, effort: Effort, count: int) -> float:
    """Calls a second, spread over so many services of one worker."""
    with testbed.server(peer, "--services", str(count), times=count) as server:
        return _rate(testbed, peer, server.url, effort, "--services", str(count))


def workers(testbed: Testbed, peer: Peer, effort: Effort, count: int) -> float:
    """Calls a second, of so many workers."""
    with ExitStack() as stack:
        servers = [stack.enter_context(testbed.server(peer)) for _ in range(count)]
        return _rate(testbed, peer, servers[0].url, effort)


def crowded(testbed: Testbed, peer: Peer, effort: Effort, in_flight: int) -> float:
    """Calls a second, with so many in flight."""
    calls = max(effort.growth_calls, 2 * in_flight)
    options = _words(calls=calls, in_flight=in_flight, timeout=PATIENCE)
    with testbed.server(peer) as server, testbed.client(peer, server.url, *options) as client:
        client.begin()
        said = client.result(PATIENCE)
    return float(said["calls"] / said["seconds"])


def memory_in_flight(testbed: Testbed, peer: Peer, effort: Effort, in_flight: int) -> float:
    """Bytes of the client's memory for each call, with so many in flight: the worker leaves and another comes later."""
    options = _words(calls=in_flight, in_flight=in_flight, warm_up=100, timeout=PATIENCE)
    with testbed.server(peer) as server, testbed.client(peer, server.url, *options) as client:
        before = resident_bytes(client.pid)
        server.process.end()
        client.begin()
        testbed.wait_for_depth(QUEUE, in_flight, timeout=PATIENCE)
        after = resident_bytes(client.pid)
        with testbed.server(peer):
            client.result(PATIENCE)
    return (after - before) / in_flight


def deep_queue(testbed: Testbed, peer: Peer, effort: Effort, depth: int) -> float:
    """Requests a second that a worker takes from a queue in which so many wait. They are oneway calls."""
    with testbed.server(peer) as server:
        url = server.url  # and the queue is declared
    filling = _words(calls=depth, in_flight=effort.crowd, warm_up=1, timeout=PATIENCE)
    try:
        with testbed.client(peer, url, *filling, verb="publish") as filler:
            filler.begin()
            filler.result(PATIENCE)
        watching = _words(calls=effort.drained, timeout=PATIENCE)
        with testbed.client(peer, url, *watching, verb="drain") as watcher, testbed.server(peer):
            said = watcher.result(PATIENCE)
    finally:
        testbed.node.ctl("purge_queue", QUEUE)
    if not said["calls"]:
        raise ProcessFailed(f"{effort.drained:,} requests were taken before the watcher could count them")
    return float(said["calls"] / said["seconds"])


def reply_size(testbed: Testbed, peer: Peer, effort: Effort, size: int) -> float:
    """Bytes a second, in replies of this size."""
    calls = max(REPLIES_IN_FLIGHT, min(effort.reply_calls, effort.reply_bytes // size))
    options = _words(calls=calls, in_flight=REPLIES_IN_FLIGHT, size=size)
    with testbed.server(peer) as server, testbed.client(peer, server.url, *options) as client:
        client.begin()
        said = client.result(PATIENCE)
    return float(said["calls"] * size / said["seconds"])


GROWTHS = {
    "connections": Growth("client connections", "calls/s", True, lambda effort: effort.connections, connections),
    "services": Growth("services in a worker", "calls/s", True, lambda effort: effort.services, services),
    "workers": Growth("workers", "calls/s", True, lambda effort: effort.workers, workers),
    "in_flight": Growth("calls in flight", "calls/s", True, lambda effort: effort.in_flight, crowded),
    "memory": Growth(
        "calls in flight", "bytes a call", False, lambda effort: effort.in_flight, memory_in_flight, once=True
    ),
    "depth": Growth("requests waiting", "requests/s", True, lambda effort: effort.depths, deep_queue, once=True),
    "replies": Growth(
        "bytes of a reply", "bytes/s", True, lambda effort: effort.reply_sizes, reply_size, (OURS, LIBRABBITMQ)
    ),
}
"""By the name that samples have."""

DAY = {"day_client": "client", "day_worker": "worker", "day_broker": "broker"}
"""Samples of one long run: memory of each process, by calls made."""


def growth(testbed: Testbed, peers: Sequence[Peer], effort: Effort, say: Callable[[str], None]) -> list[GrowthSample]:
    """Measure all of it, round by round; the long ones once."""
    samples: list[GrowthSample] = []
    failed: set[tuple[str, str]] = set()
    for number in range(1, effort.slow_rounds + 1):
        say(f"growth, round {number} of {effort.slow_rounds}")
        for what, kind in GROWTHS.items():
            if kind.once and number > 1:
                continue
            for point in kind.points(effort):
                for peer in kind.peers:
                    if (what, peer.name) in failed or peer not in peers:
                        continue
                    doing = f"{point:,} {kind.title}"
                    try:
                        value = kind.measure(testbed, peer, effort, point)
                    except PEER_TROUBLE as error:
                        say(f"  {peer.title}, {doing}: FAILED: {error}")
                        testbed.failed(peer, doing, error)
                        failed.add((what, peer.name))
                    else:
                        samples.append(GrowthSample(what, peer.name, point, number, value))
                        say(f"  {peer.title}, {doing}: {value:,.0f} {kind.unit}")
    if OURS in peers:
        try:
            samples += day(testbed, effort, say)
        except PEER_TROUBLE as error:
            say(f"  {effort.day:,} calls: FAILED: {error}")
            testbed.failed(OURS, f"{effort.day:,} calls in one run", error)
    return samples


def day(testbed: Testbed, effort: Effort, say: Callable[[str], None]) -> list[GrowthSample]:
    """A day's worth of calls in one run, and the memory of all processes on the way."""
    samples: list[GrowthSample] = []
    options = _words(calls=effort.day, in_flight=effort.crowd, marks=effort.day_step, warm_up=effort.crowd)
    say(f"growth: {effort.day:,} calls in one run")
    with testbed.server(OURS) as server, testbed.client(OURS, server.url, *options) as client:
        processes = dict(zip(DAY, (client.pid, server.process.pid, server.broker), strict=True))
        client.begin()
        for calls in range(effort.day_step, effort.day + 1, effort.day_step):
            client.wait_for(f"mark {calls}\n", timeout=PATIENCE)
            memory = {what: resident_bytes(pid) for what, pid in processes.items() if pid is not None}
            samples += [GrowthSample(what, OURS.name, calls, 1, size) for what, size in memory.items()]
            told = ", ".join(f"{DAY[what]} {size / 2**20:,.1f} MiB" for what, size in memory.items())
            say(f"  after {calls:,} calls: {told}")
        client.result(PATIENCE)
    return samples


def _rate(testbed: Testbed, peer: Peer, url: str, effort: Effort, *options: str) -> float:
    words = _words(calls=effort.growth_calls, in_flight=effort.crowd)
    with testbed.client(peer, url, *words, *options) as client:
        client.begin()
        said = client.result(PATIENCE)
    return float(said["calls"] / said["seconds"])


def _words(**options: float) -> list[str]:
    """Options as a command line has them."""
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
