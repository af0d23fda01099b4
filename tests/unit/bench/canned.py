"""Results as a run leaves them, made up: whole numbers whose ratios can be reckoned in one's head."""

from __future__ import annotations

from tools.bench.machine import Machine
from tools.bench.results import Failure, GrowthSample, JamSample, LatencySample, ProfileSample, Results, Sample

MACHINE = Machine(2, "Some Processor", 4.0, "Linux 6")


def sample(peer: str, round_number: int, rate: int, in_flight: int = 100, client_cpu: float = 0.1) -> Sample:
    """A second of calls."""
    broker = None if peer == "grpc_aio" else 0.3
    return Sample(peer, in_flight, round_number, rate, 1.0, client_cpu, 0.2, broker)


def canned() -> Results:
    """Three rounds of some peers, one of which failed; growth, latencies and a traffic jam."""
    results = Results(MACHINE, versions={"RabbitMQ": "3.10.8"}, taken={"throughput": "2026-01-02 03:04 UTC, abc"})
    results.taken["callers"] = "2026-01-05 06:07 UTC, def"
    results.peer_versions["ours"] = {"thrift-amqp-rpc": "0.1.0", "Twisted": "26.10.0", "six": "1.17.0"}
    for number, (ours, c, aio, grpc) in enumerate(
        [(1000, 2000, 100, 500), (1200, 2000, 150, 400), (900, 1000, 90, 300)]
    ):
        results.samples += [
            sample("ours", number, ours),
            sample("librabbitmq", number, c, client_cpu=0.01),
            sample("aio_pika", number, aio),
            sample("grpc_aio", number, grpc),
        ]
    for number, (twisted, asyncio, blocking, kombu) in enumerate([(1000, 1000, 300, 100), (1200, 900, 240, 120)]):
        results.callers += [
            sample("ours", number, twisted),
            sample("ours_asyncio", number, asyncio),
            sample("ours_blocking", number, blocking, in_flight=8),
            sample("kombu_threads", number, kombu, in_flight=8),
        ]
    results.latencies = [
        LatencySample("ours", 1000, 1, 999.0, {"50": 0.001, "99": 0.0025}),
        LatencySample("aio_pika", 1000, 1, 500.0, {"50": 1.0, "99": 2.0}),
    ]
    results.profile = [
        ProfileSample("client", 100, "rpc/amqp/frames.py", "_read", 2.5),
        ProfileSample("client", 100, "twisted/internet/defer.py", "_runCallbacks", 1.5),
        ProfileSample("worker", 100, "rpc/amqp/frames.py", "_read", 3.25),
        ProfileSample("worker", 100, "rpc/transport/serving.py", "_start", 0.75),
    ]
    results.growth = [
        GrowthSample("connections", "ours", 1, 1, 1000.0),
        GrowthSample("connections", "ours", 64, 1, 500.0),
        GrowthSample("memory", "ours", 1000, 1, 9000.0),
        GrowthSample("memory", "ours", 100_000, 1, 2048.0),
        GrowthSample("day_client", "ours", 100_000, 1, 100 * 2.0**20),
        GrowthSample("day_client", "ours", 2_000_000, 1, 101 * 2.0**20),
    ]
    results.jam = [
        JamSample("py_amqp", "calls", 1, 10_000, 8.0, [4.0, 8.0]),
        JamSample("ours", "calls", 1, 10_000, 0.5, [0.4, 0.5]),
    ]
    results.failures = [
        Failure("nameko", "throughput", "100 in flight", "the server ended with status 1\nno such queue")
    ]
    return results
