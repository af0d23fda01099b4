"""Faults of brokers: killed, short of memory, closing connections."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

import rpc
from tools.faults.scenario import Finding, Scenario
from tools.faults.trial import Trial
from tools.faults.waiting import clock, pause, until
from tools.processes import descriptors, resident_bytes

ANSWERED = 0.999
SERVING = 5.0
"""Seconds after the broker's port has opened."""

BLOCKED_AT_ONCE = 0.05
RECOVERED = 2.0
MOST_UNSENT = 128 * 1024 * 1024
"""Bytes. A full ``send_buffer_max`` of 32 MiB may exist three times: in Twisted's buffer, in its joined copy, and in
the pending calls.
"""

SEND_BUFFER = 32 * 1024 * 1024

GROWTH = 16 * 1024 * 1024
"""Bytes of resident memory that allocators and caches may take; a leak of a connection's buffers is more."""


async def broker_killed(trial: Trial, kills: int, calls: int, rate: float) -> Finding:
    """Kill and restart the broker under idempotent calls and under oneway calls, which it confirms.

    A oneway call whose confirm was lost with the connection is not repeated: it ends with ConnectionLost. There are
    more of them the slower the broker confirms.
    """
    worker = await trial.process(concurrency=64)
    client = await trial.client(timeout=30.0)
    note, echo = trial.noting(client), partial(_echo, client)
    calling = Deferred.fromCoroutine(
        trial.account.at_rate(lambda number: (note if _is_oneway(number) else echo)(number), rate, calls, 30.0)
    )
    gaps = []
    for kill in range(kills):
        await until("calls are in progress", lambda: trial.account.begun >= calls * (kill + 0.5) / kills, 600)  # noqa: B023
        await deferToThread(trial.node.kill)
        await deferToThread(trial.node.start)
        opened = clock.seconds()
        await until("calls are answered again", lambda: trial.account.gap(opened) < 60, 60)  # noqa: B023
        gaps.append(trial.account.gap(opened))
    await calling
    await trial.account.settled()
    lost = await trial.lost()
    account = trial.account
    oneway = sum(map(_is_oneway, range(1, account.begun + 1)))
    share = (len(account.answered) - len(trial.confirmed)) / (account.begun - oneway)
    unconfirmed = oneway - len(trial.confirmed)
    seen = (
        f"{kills} kills: {share:.2%} of the idempotent calls answered ({account.told()}); {unconfirmed} oneway calls "
        f"not confirmed; of {len(trial.confirmed):,} confirmed "
        f"oneway calls {lost} lost; answers again {max(gaps):.1f} s after the port opened; the worker "
        f"{'still runs' if worker.running else 'has ended'}"
    )
    told = unconfirmed <= account.failed["ConnectionLost"]
    return Finding(seen, share >= ANSWERED and told and not lost and max(gaps) <= SERVING and worker.running)


def _is_oneway(number: int) -> bool:
    return number % 10 == 0


def _echo(client: Any, number: int) -> Deferred[int]:
    answer: Deferred[int] = client.echo(number, 50)
    return answer


def _used(worker: int) -> tuple[int, int, int]:
    """Descriptors and memory of a worker, and memory of this process."""
    return descriptors(worker), resident_bytes(worker), resident_bytes(os.getpid())


async def connections_closed(trial: Trial, times: int) -> Finding:
    """Have the broker close every connection, again and again."""
    worker = await trial.process()
    client = await trial.client(timeout=30.0)
    for _ in range(2):  # the first losses fill caches, which is no growth
        await _close_all(trial, client)
    before = _used(worker.pid)
    for _ in range(times):
        await _close_all(trial, client)
    grown, worker_bytes, our_bytes = (now - then for now, then in zip(_used(worker.pid), before, strict=True))
    queues = len([name for name in await trial.queue_names() if name.startswith(("amq.gen-", "rpc.worker."))])
    account = trial.account
    seen = (
        f"{times} times: {grown} more descriptors in the worker, memory +{worker_bytes / 1e6:.1f} MB there and "
        f"+{our_bytes / 1e6:.1f} MB in the client; {queues} exclusive queues in the end; {account.told()}"
    )
    flat = grown <= 0 and worker_bytes < GROWTH and our_bytes < GROWTH and queues == 2
    return Finding(seen, flat and not account.errors)


async def _close_all(trial: Trial, client: Any) -> None:
    """Close all connections; come back when client and worker are there again, and a call was answered."""
    await trial.ctl("close_all_connections", "fault")
    stub: rpc.Connection = trial.connections[0]
    await until("the client is back", lambda: stub._link.connection is not None, 20)
    await trial.account.ask(lambda number: client.echo(number, 0), 30.0)


async def memory_alarm(trial: Trial, seconds: float) -> Finding:
    """Have the broker run out of memory for a while."""
    await trial.worker()
    client = await trial.client(timeout=5.0)
    account = trial.account

    async def call() -> None:
        await account.ask(lambda number: client.echo(number, 0), 5.0)
        await pause(0.02)

    await call()
    connection = trial.connections[0]._link.connection
    assert connection is not None
    await trial.ctl("set_vm_memory_high_watermark", "0.0000001")
    try:
        # The broker tells only clients that publish, so the first call finds it out. The promise is for later ones.
        finding_out = account.ask(lambda number: client.echo(number, 0), 5.0)
        await until("the client is told", lambda: connection.blocked is not None, 5)
        before = set(account.answered)
        ends = clock.seconds() + seconds
        while clock.seconds() < ends:
            await call()
        answered = len(set(account.answered) - before)
    finally:
        ending = Deferred.fromCoroutine(trial.ctl("set_vm_memory_high_watermark", "0.8"))
        while not ending.called:  # rabbitmqctl takes seconds on a busy machine
            await call()
        await ending
        ended = clock.seconds()
        while account.gap(ended) > RECOVERED and clock.seconds() < ended + 10:
            await call()
    found_out = await finding_out
    refused = account.latencies.get("BrokerBlocked", [])
    slowest = max(refused, default=float("inf"))
    seen = (
        f"{seconds:.0f} s of alarm: {len(refused)} calls ended with BrokerBlocked, the slowest after "
        f"{slowest * 1000:.1f} ms; answers again {account.gap(ended):.1f} s after its end; "
        f"{account.told()}; the call that found it out was {'answered' if found_out else 'not answered in time'}"
    )
    others = account.errors - len(refused) - (not found_out)
    kept = slowest <= BLOCKED_AT_ONCE and account.gap(ended) <= RECOVERED
    return Finding(seen, kept and not others and answered <= found_out)


async def broker_stops_reading(trial: Trial, seconds: float, rate: float, size: int) -> Finding:
    """Read nothing from a client while its broker sends heartbeats, and make calls of `size` bytes."""
    await trial.worker()
    proxy = trial.proxy()
    client = await trial.client(trial.by(proxy), timeout=5.0)
    account, body = trial.account, bytes(size)

    def ask(number: int) -> Deferred[int]:
        carried: Deferred[bytes] = client.carry(body)
        return carried.addCallback(lambda _: number)

    await account.ask(ask, 5.0)
    before = resident_bytes(os.getpid())
    proxy.stop_reading()
    growths = []
    for _ in range(2):  # the buffer fills in the first half
        calling = Deferred.fromCoroutine(account.at_rate(ask, rate, int(rate * seconds / 2), 5.0))
        growth = 0
        while not calling.called:
            growth = max(growth, resident_bytes(os.getpid()) - before)
            await pause(0.1)
        growths.append(growth)
    proxy.read_again()
    began = clock.seconds()
    while account.gap(began) > RECOVERED and clock.seconds() < began + 10:
        await account.ask(ask, 5.0)
        await pause(0.02)
    await account.settled()
    refused = sorted(account.latencies.get("BrokerBlocked", [float("inf")]))
    early = refused[len(refused) * 99 // 100]
    seen = (
        f"{seconds:.0f} s, {rate:.0f} calls of {size:,} bytes a second: memory +{growths[0] / 1e6:.0f} MB in the first "
        f"half, +{growths[1] / 1e6:.0f} MB in the second; {len(refused)} calls ended with BrokerBlocked, 99 % of them "
        f"within {early * 1000:.1f} ms; answers again {account.gap(began):.1f} s after it reads; {account.told()}"
    )
    flat = growths[0] <= MOST_UNSENT and growths[1] <= MOST_UNSENT
    in_time = account.failed["CallTimedOut"] <= 2 * SEND_BUFFER / size  # those that are in the buffer
    return Finding(seen, flat and in_time and early <= BLOCKED_AT_ONCE and account.gap(began) <= RECOVERED)


SCENARIOS = (
    Scenario(
        "broker-killed",
        "`kill -9` of the broker three times in 10,000 idempotent calls",
        "99.9 % answered; confirmed oneway calls on durable queues lost: 0; serving 5 s after the port opens",
        broker_killed,
        quick={"kills": 1, "calls": 1500, "rate": 250},
        full={"kills": 3, "calls": 10_000, "rate": 150},
    ),
    Scenario(
        "connections-closed",
        "connections closed by the broker 15 times in a row",
        "nothing grows; every call answered",
        connections_closed,
        quick={"times": 2},
        full={"times": 15},  # the delays grow to 16 s, since no connection lasts
    ),
    Scenario(
        "memory-alarm",
        "memory alarm for 30 s",
        "new calls end with `BrokerBlocked` within 50 ms; answers again in 2 s",
        memory_alarm,
        quick={"seconds": 1.0},
        full={"seconds": 30.0},
    ),
    Scenario(
        "broker-stops-reading",
        "a broker that sends heartbeats and reads nothing for 31 s, 100 calls of 100 kB a second",
        "memory is bounded; new calls end with `BrokerBlocked` within 50 ms (99 of 100); answers again in 2 s",
        broker_stops_reading,
        quick={"seconds": 6.0, "rate": 200.0, "size": 100_000},
        full={"seconds": 31.0, "rate": 100.0, "size": 100_000},
    ),
)
