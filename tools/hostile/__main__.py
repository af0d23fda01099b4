"""Measures the cost of hostile messages for other callers: ``python -m tools.hostile [OPTION…]``.

A private RabbitMQ, one worker process, and this process, which makes the good calls and publishes one hostile message
before each of them. Rounds without hostile messages come in turn with those that have them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

import rpc
from generated.calculator import Calculator
from tools.hostile.mix import call_many, percentile, publisher
from tools.hostile.peer import HostilePeer
from tools.nodes.rabbitmq import RabbitMQNode
from tools.processes import PROJECT, Process, cpu_seconds, twistd


async def measure(url: str, worker: Process, calls: int, rate: float, rounds: int, with_arrays: bool) -> None:
    """Print a row for each round, and the medians of their 99th percentiles.

    :raises RPCError, WrongAnswer: a good call was not answered with its sum.
    """
    connection = await rpc.connect(url)
    client: Any = connection.client(Calculator)
    peer = await HostilePeer.connect(url)
    await call_many(client, 1000, rate, lambda: None)  # fills the caches
    alone, among = [], []
    for number in range(rounds):
        alone.append(await _round("good calls alone", worker, client, calls, rate, lambda: None))
        publish = publisher(peer, "Calculator", number, calls, with_arrays=with_arrays)
        among.append(await _round("hostile messages among them", worker, client, calls, rate, publish))
    usual, longer = median(alone), median(among)
    print(f"p99, medians: {usual:.2f} and {longer:.2f} ms, {longer / usual:.2f} times as long")
    channel = "closed" if peer.channel.closed else "open"
    print(f"the hostile peer got {len(peer.replies):,} replies; its channel is {channel}")
    await peer.connection.close()
    await connection.close()


async def _round(kind: str, worker: Process, client: Any, calls: int, rate: float, before: Callable[[], None]) -> float:
    """Make the calls, and print the row; return the 99th percentile, in milliseconds."""
    own, other = time.process_time(), cpu_seconds(worker.pid)
    seconds = await call_many(client, calls, rate, before)
    own, other = time.process_time() - own, cpu_seconds(worker.pid) - other
    half, most, longest = (1000 * percentile(seconds, percent) for percent in (50, 99, 100))
    print(
        f"{kind:28} {len(seconds):,} answered; p50 {half:.2f} ms, p99 {most:.2f}, longest {longest:.2f}; "
        f"processor time {own:.2f} s here, {other:.2f} s in the worker",
        flush=True,
    )
    return most


async def main(_: object, options: argparse.Namespace) -> None:
    """Start broker and worker, and measure."""
    with RabbitMQNode() as node:
        environment = {"PYTHONPATH": str(PROJECT), "RPC_BROKER": node.url}
        with Process("worker", twistd("rpc-worker", "services.calculator:service"), environment=environment) as worker:
            worker.wait_for("serving Calculator")
            await measure(node.url, worker, options.calls, options.rate, options.rounds, options.with_arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--without-arrays",
        dest="with_arrays",
        action="store_false",
        help="without headers that fill a frame with values, which take RabbitMQ itself milliseconds",
    )
    chosen = parser.parse_args()
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, chosen)))
