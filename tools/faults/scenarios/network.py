"""Faults of networks: connections cut at any byte, silence, delays, stalls."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

import rpc
from tools.faults.probe import Ask, stub
from tools.faults.proxy import DIRECTIONS, FROM_BROKER, TO_BROKER, Cut, Proxy
from tools.faults.scenario import Finding, Scenario
from tools.faults.trial import Trial
from tools.faults.waiting import POLL, Late, clock, pause, together, until

NOTICED = 2.5
SILENCE = 3.0
"""Both in heartbeats, which the URL of the observed side proposes."""

PADDING = 500
CALLS_TO_BE_CUT = 12
"""So many calls with so much padding carry more than the farthest offset in either direction."""


def _carrying(client: Any) -> Ask:
    """Calls whose answer is as long as their question."""

    def ask(number: int) -> Deferred[int]:
        sent = b"%d:" % number + bytes(PADDING)
        asked: Deferred[bytes] = client.carry(sent)
        return asked.addCallback(lambda came: number if came == sent else -1)

    return ask


def _offsets(first: int, last: int, step: int) -> Iterator[Cut]:
    """Cuts at every `step`-th offset, both ways, with FIN and RST in turn."""
    for direction in DIRECTIONS:
        for offset in range(first, last + 1, step):
            yield Cut(direction, offset, reset=offset // step % 2 == 0)


async def client_cut(trial: Trial, last: int, step: int, at_once: int) -> Finding:
    """Cut a client's connection at every `step`-th byte, and have it call again and again."""
    await trial.worker()
    cuts = _offsets(1, last, step)
    number = refused = 0

    async def lane() -> None:
        nonlocal number, refused
        proxy = trial.proxy()
        for cut in cuts:
            number += 1
            proxy.cuts.append(cut)
            try:
                connection = await rpc.connect(trial.by(proxy))
            except rpc.AMQPError:
                refused += 1
                continue
            ask = _carrying(connection.client(stub(), name=trial.name, timeout=10.0))
            for _ in range(CALLS_TO_BE_CUT):
                await trial.account.ask(ask, 10.0)
            await connection.close()

    await together(lane() for _ in range(at_once))
    seen = f"{number:,} cuts, {refused:,} while connecting, 0 hang; calls: {trial.account.told()}"
    return Finding(seen, met=trial.account.wrong == 0)


async def worker_cut(trial: Trial, last: int, step: int, at_once: int) -> Finding:
    """Cut the connection of each of some workers at every `step`-th byte, one byte after the other, under calls."""
    await trial.worker()  # so that the service is there, even if the others fail
    client = await trial.client(timeout=10.0)
    cuts = list(_offsets(1, last, step))
    left = list(reversed(cuts))
    finished = 0

    async def lane() -> None:
        nonlocal finished
        proxy = trial.proxy()
        worker = None
        while left:
            proxy.cuts.append(left.pop())
            if worker is None:
                worker = trial.starting_worker(trial.by(proxy))
            before = len(proxy.attempts)
            await until("a worker's connection is cut", lambda: len(proxy.attempts) > before, 60)  # noqa: B023
        finished += 1

    lanes = [Deferred.fromCoroutine(lane()) for _ in range(at_once)]
    await trial.account.in_lanes(_carrying(client), 4, lambda: finished < at_once, 10.0)
    await gatherResults(lanes)
    # After so many losses in a row, a worker waits up to 16 s before it connects again.
    await until("every worker serves again", lambda: all(worker.is_serving for worker in trial.workers), 60)
    account = trial.account
    seen = f"{len(cuts):,} cuts, 0 hang; calls: {account.told()}; slowest {account.slowest:.1f} s"
    seen += "".join(f"; {name}: {words}" for name, words in account.words.items())
    return Finding(seen, met=not account.errors)


async def silence(trial: Trial, heartbeat: int, phases: int) -> Finding:
    """Take one direction of client's and worker's connections away, beginning at several phases of the heartbeat."""
    worst: dict[str, float] = {}

    async def one(role: str, direction: str, phase: int) -> None:
        proxy = trial.proxy()
        url = trial.by(proxy, f"?heartbeat={heartbeat}")
        end: Any = await (trial.connect(url) if role == "client" else trial.worker(url))
        link = end._link
        await pause(heartbeat * (1 + phase / phases))
        before = link.connection
        if role == "client":  # the broker looks once a heartbeat
            client = end.client(stub(), name=trial.name, timeout=30.0)
            trial.account.ask(lambda number: client.echo(number, 0), 30.0)
            await pause(POLL)
        proxy.hold(direction)
        what = f"{role}, {direction}"
        try:
            took = await until(f"{what}: noticed", lambda: link.connection is not before, (SILENCE + 1) * heartbeat)
        except Late:
            took = float("inf")
        worst[what] = max(worst.get(what, 0.0), took)
        await until(f"{what}: connected again", lambda: link.connection not in (None, before), 30)

    await together(
        one(role, direction, phase)
        for role in ("client", "worker")
        for direction in (FROM_BROKER, TO_BROKER)
        for phase in range(phases)
    )
    client = await trial.client(timeout=5.0)
    await trial.account.ask(lambda number: client.echo(number, 0), 5.0)
    told = "; ".join(f"{what}: {seconds / heartbeat:.2f}" for what, seconds in worst.items())
    met = max(worst.values()) <= NOTICED * heartbeat + 2 * POLL and not trial.account.errors
    return Finding(f"heartbeats until noticed, the worst of {phases}: {told}", met)


async def delay(trial: Trial, heartbeat: int, way: float, calls: int, stalls: int) -> Finding:
    """Let bytes take long on their `way`, and stall other connections for one and a half heartbeats."""
    parameters = f"?heartbeat={heartbeat}"
    slow, stalling = trial.proxy(), trial.proxy()
    slow.delay = way
    await trial.worker(trial.by(stalling, parameters))
    clients = [await trial.client(trial.by(stalling, parameters), timeout=30.0)]

    async def stall() -> None:
        for _ in range(stalls):
            for directions in ((TO_BROKER,), (FROM_BROKER,), DIRECTIONS):
                stalling.hold(*directions)
                await pause(1.5 * heartbeat)
                stalling.release()
                await pause(0.5 * heartbeat)

    stalled = Deferred.fromCoroutine(stall())
    clients.append(await trial.client(trial.by(slow, parameters), timeout=30.0))
    lanes = [trial.account.in_lanes(partial(_at_once, client), 2, _times(calls, stalled), 30.0) for client in clients]
    await together(lanes)
    await stalled
    alarms = len(slow.attempts) + len(stalling.attempts) - 3  # each but the first of client and worker follows one
    account = trial.account
    seen = f"{alarms} false alarms, {account.told()}; slowest {account.slowest:.1f} s"
    return Finding(seen, met=not alarms and not account.errors)


def _at_once(client: Any, number: int) -> Deferred[int]:
    answer: Deferred[int] = client.once(number, 0)
    return answer


def _times(calls: int, running: Deferred[None]) -> Any:
    """Says so often that it goes on, and then until `running` has fired."""
    left = iter(range(calls))
    return lambda: next(left, None) is not None or not running.called


async def replies_cut(trial: Trial, cuts: int) -> Finding:
    """Cut the only worker's connection again and again under calls that may not be run twice."""
    proxy: Proxy = trial.proxy()
    await trial.worker(trial.by(proxy), deduplicate=True)
    client = await trial.client(timeout=20.0)
    began = clock.seconds()

    async def cut() -> None:
        for _ in range(cuts):
            await pause(0.5)
            proxy.drop()
            await until("the worker is back", lambda: proxy.connections and trial.workers[0].is_serving, 20)

    cutting = Deferred.fromCoroutine(cut())
    await trial.account.in_lanes(lambda number: client.once(number, 20), 8, lambda: not cutting.called, 20.0)
    await cutting
    runs = trial.journal.runs("once")
    twice = sum(number > 1 for number in runs.values())
    seen = f"{cuts} cuts in {clock.seconds() - began:.0f} s, {trial.account.told()}; run twice: {twice}"
    return Finding(seen, met=not twice and not trial.account.errors)


SCENARIOS = (
    Scenario(
        "client-cut",
        "TCP cut at each of the first 4,096 byte offsets of a client's connection, both ways",
        "0 calls hang",
        client_cut,
        quick={"last": 4096, "step": 127, "at_once": 32},
        full={"last": 4096, "step": 1, "at_once": 64},
    ),
    Scenario(
        "worker-cut",
        "TCP cut at byte offsets of a worker's connection, both ways",
        "0 calls hang, 0 fail",
        worker_cut,
        quick={"last": 4096, "step": 331, "at_once": 8},
        full={"last": 4096, "step": 8, "at_once": 32},
    ),
    Scenario(
        "silence",
        "silence in one direction, then the other, for 3 heartbeats",
        "noticed in 2.5 heartbeats",
        silence,
        quick={"heartbeat": 6, "phases": 1},
        full={"heartbeat": 6, "phases": 6},
    ),
    Scenario(
        "delay",
        "+500 ms either way, and stalls of 1.5 heartbeats",
        "no false alarm",
        delay,
        quick={"heartbeat": 1, "way": 0.25, "calls": 3, "stalls": 1},
        full={"heartbeat": 6, "way": 0.5, "calls": 50, "stalls": 5},
    ),
    Scenario(
        "replies-cut",
        "connection of a live worker cut before its acks arrive, calls not idempotent, `deduplicate`",
        "0 repeated executions, 0 lost",
        replies_cut,
        quick={"cuts": 4},
        full={"cuts": 50},
    ),
)
