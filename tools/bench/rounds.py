"""Throughput and latency: all peers in turn, again and again, so that each round has all of them in like conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tools.bench.catalogue import Peer
from tools.bench.effort import Effort
from tools.bench.results import LatencySample, Sample
from tools.bench.testbed import PEER_TROUBLE, Server, Testbed

Say = Callable[[str], None]

LEAST_CALLS = 300
MOST_CALLS = 200_000
FULL = 3
"""A measurement has at least so many times the calls that are in flight: its beginning and end are not typical."""


def throughput(testbed: Testbed, peers: Sequence[Peer], effort: Effort, say: Say) -> list[Sample]:
    """Measure each peer with each number of calls in flight, round by round."""
    failed: set[tuple[str, int]] = set()
    counts = {(peer.name, in_flight): effort.calls for peer in peers for in_flight in peer.in_flight}
    if not effort.calls:
        say("how many calls take how long")
        for sample in _round(testbed, peers, dict.fromkeys(counts, 0), 0, failed, say):
            counts[sample.peer, sample.in_flight] = _count(sample, effort.seconds)
    samples: list[Sample] = []
    for number in range(1, effort.rounds + 1):
        say(f"round {number} of {effort.rounds}")
        samples += _round(testbed, peers, counts, number, failed, say)
    return samples


def _round(
    testbed: Testbed,
    peers: Sequence[Peer],
    counts: dict[tuple[str, int], int],
    number: int,
    failed: set[tuple[str, int]],
    say: Say,
) -> list[Sample]:
    samples: list[Sample] = []
    for peer in peers:
        todo = [each for each in peer.in_flight if (peer.name, each) not in failed]
        doing = "starting"
        try:
            while todo:
                with testbed.server(peer) as server:
                    while todo:
                        in_flight = todo.pop(0)
                        doing = f"{in_flight:,} in flight"
                        calls = counts[peer.name, in_flight] or max(LEAST_CALLS, 2 * in_flight)
                        samples.append(_sample(testbed, peer, server, in_flight, calls, number))
                        say(f"  {peer.title}, {doing}: {samples[-1].rate:,.0f} calls/s")
        except PEER_TROUBLE as error:
            say(f"  {peer.title}, {doing}: FAILED: {error}")
            testbed.failed(peer, doing, error)
            failed |= {(peer.name, each) for each in peer.in_flight if doing == "starting" or each == in_flight}
    return samples


def _sample(testbed: Testbed, peer: Peer, server: Server, in_flight: int, calls: int, number: int) -> Sample:
    run = testbed.run(peer, server, "--calls", str(calls), "--in-flight", str(in_flight))
    return Sample(
        peer=peer.name,
        in_flight=in_flight,
        round=number,
        calls=run.said["calls"],
        seconds=run.said["seconds"],
        client_cpu=run.said["cpu_seconds"],
        server_cpu=run.server_cpu,
        broker_cpu=run.broker_cpu,
    )


def _count(sample: Sample, seconds: float) -> int:
    wished = sample.rate * seconds
    return int(min(MOST_CALLS, max(LEAST_CALLS, FULL * sample.in_flight, wished)))


def latencies(testbed: Testbed, peers: Sequence[Peer], effort: Effort, say: Say) -> list[LatencySample]:
    """Have each peer's client begin calls at rising rates, up to the first at which it falls behind."""
    samples: list[LatencySample] = []
    failed: set[str] = set()
    able = [peer for peer in peers if peer.open_loop]
    for number in range(1, effort.slow_rounds + 1):
        say(f"latencies, round {number} of {effort.slow_rounds}")
        for peer in able:
            if peer.name in failed:
                continue
            doing = "starting"
            try:
                with testbed.server(peer) as server:
                    for rate in effort.rates:
                        doing = f"{rate:,} calls a second"
                        run = testbed.run(peer, server, "--rate", str(rate), "--seconds", str(effort.rate_seconds))
                        said = run.said
                        answered = said["calls"] / max(said["seconds"], effort.rate_seconds)
                        samples.append(LatencySample(peer.name, rate, number, answered, said["latencies"]))
                        say(f"  {peer.title}, {doing}: half within {said['latencies']['50'] * 1000:.2f} ms")
                        if not samples[-1].kept_up:
                            break
            except PEER_TROUBLE as error:
                say(f"  {peer.title}, {doing}: FAILED: {error}")
                testbed.failed(peer, doing, error)
                failed.add(peer.name)
    return samples
