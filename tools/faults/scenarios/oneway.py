"""Oneway calls that no caller waits for: to one worker that takes none, and with ``acknowledge="before"``."""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from tools.faults.scenario import Finding, Scenario
from tools.faults.scenarios.processes import Supervisor
from tools.faults.settlement import all_settled, dead_numbers, instances
from tools.faults.trial import Trial
from tools.faults.waiting import pause

TIMEOUT = 30.0


async def worker_full(trial: Trial, calls: int, seconds: float) -> Finding:
    """Send oneway calls to one worker whose only slot is taken."""
    await trial.process(concurrency=1, backlog=1)
    (instance,) = await instances(trial)
    client = await trial.client(instance=instance, timeout=TIMEOUT)
    account = trial.account
    working = account.ask(lambda number: client.work(number, int(seconds * 1000)), TIMEOUT)
    await pause(0.2)
    await gatherResults([account.ask(trial.noting(client), TIMEOUT) for _ in range(calls)])
    await working
    await all_settled(trial, TIMEOUT)
    return await _account(trial, f"{calls} calls to a worker with 1 slot and a backlog of 1")


async def worker_draining(trial: Trial, times: int, rate: float, seconds: float) -> Finding:
    """Send oneway calls to one worker while it drains, and after it has ended.

    They must be fewer than the queue of dead letters keeps (``rpc.topology.DEAD_LETTERS_KEPT``).
    """
    for _ in range(times):
        worker = await trial.process(concurrency=1, backlog=1)
        (instance,) = await instances(trial)
        client = await trial.client(instance=instance, timeout=TIMEOUT)
        working = trial.account.ask(lambda number: client.work(number, int(seconds * 1000)), TIMEOUT)  # noqa: B023
        await pause(0.2)
        calling = Deferred.fromCoroutine(
            trial.account.at_rate(trial.noting(client), rate, int(rate * (seconds + 1)), TIMEOUT)
        )
        await pause(seconds / 4)
        worker.send(signal.SIGTERM)
        await worker.ended()
        await calling
        await working
        await trial.account.settled()
        await all_settled(trial, TIMEOUT)
    return await _account(trial, f"{times} times a worker that drains, {rate:g} calls a second")


async def _account(trial: Trial, what: str) -> Finding:
    run, dead = trial.journal.runs("note"), set(await dead_numbers(trial, "note"))
    vanished = trial.confirmed - set(run) - dead
    seen = (
        f"{what}: of {len(trial.confirmed):,} confirmed {len(run):,} run, {len(dead):,} dead letters, "
        f"{len(vanished)} vanished; {trial.account.told()}"
    )
    return Finding(seen, bool(dead) and not vanished)


async def quits_before(trial: Trial, quits: int) -> Finding:
    """Run handlers that exit their process, whose requests were acked before; a supervisor starts the worker again."""
    options: dict[str, Any] = {"acknowledge": "before", "concurrency": 8}
    supervisor = Supervisor(trial, options)
    await supervisor.start()
    client = await trial.client(timeout=TIMEOUT)
    try:
        for restarts in range(1, quits + 1):
            await trial.account.ask(client.quit, TIMEOUT)
            while supervisor.restarts < restarts:
                await pause(0.1)
            await trial.account.ask(lambda number: client.echo(number, 0), TIMEOUT)
        await all_settled(trial, TIMEOUT)
    finally:
        await supervisor.stop()
    begun = trial.journal.runs("quit")
    dead = await dead_numbers(trial, "quit")
    seen = (
        f"{quits} requests: {len(begun)} run, {max(begun.values())} times at most, {len(dead)} dead letters; "
        f"{supervisor.restarts} restarts; {trial.account.told()}"
    )
    return Finding(seen, len(begun) == quits and max(begun.values()) == 1 and not trial.account.errors)


VANISHES = "each confirmed call is run or becomes a dead letter; none vanishes"

SCENARIOS = (
    Scenario(
        "worker-full",
        "oneway calls to `Service@instance`, a full worker",
        VANISHES,
        worker_full,
        quick={"calls": 20, "seconds": 1.0},
        full={"calls": 1000, "seconds": 5.0},
    ),
    Scenario(
        "worker-draining",
        "oneway calls to `Service@instance`, a worker that drains",
        VANISHES,
        worker_draining,
        quick={"times": 2, "rate": 400, "seconds": 1.0},
        full={"times": 20, "rate": 400, "seconds": 1.0},
    ),
    Scenario(
        "quits-before",
        '`acknowledge="before"` with a oneway handler that exits the process',
        "runs once",
        quits_before,
        quick={"quits": 2},
        full={"quits": 20},
    ),
)
