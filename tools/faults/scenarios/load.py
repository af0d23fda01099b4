"""Faults under load: workers that stop, and more calls than the workers can serve."""

from __future__ import annotations

import signal
from collections.abc import Callable

from twisted.internet.defer import Deferred

from tools.faults.scenario import Finding, Scenario
from tools.faults.trial import Trial
from tools.faults.waiting import clock, pause

OVERLOADED_WITHIN = 0.05
GOODPUT = 0.8


async def rolling_restart(trial: Trial, rate: float, rounds: int) -> Finding:
    """Tell each of three workers to leave, with another started in its place, under calls."""
    workers = await trial.processes_at_once(3, concurrency=64)
    client = await trial.client(timeout=30.0)
    statuses = []
    account = trial.account
    stopped = False

    async def roll() -> None:
        nonlocal stopped
        for number in range(3 * rounds):
            await pause(0.5)
            leaving = workers[number % 3]
            leaving.send(signal.SIGTERM)
            statuses.append(await leaving.ended())
            workers[number % 3] = await trial.process(concurrency=64)
        stopped = True

    rolling = Deferred.fromCoroutine(roll())
    began = clock.seconds()
    while not stopped:
        await account.at_rate(lambda number: client.once(number, 20), rate, int(rate / 2), 30.0)
    seconds = clock.seconds() - began
    await rolling
    await account.settled()
    runs = trial.journal.runs("once")
    repeated = sum(runs.values()) - len(runs)
    orderly = all(status in (0, -signal.SIGTERM) for status in statuses)
    seen = (
        f"{len(statuses)} workers left at {account.begun / seconds:.0f} calls a second: {account.told()}; "
        f"{repeated} run twice; slowest {account.slowest:.1f} s; "
        f"{'all' if orderly else 'not all'} ended in good order"
    )
    return Finding(seen, not account.errors and not repeated and orderly)


async def flood(trial: Trial, seconds: float, concurrency: int, backlog: int, times: int) -> Finding:
    """Measure the rate that a worker can serve, then call many times as often."""
    await trial.process(concurrency=concurrency, backlog=backlog)
    client = await trial.client(timeout=10.0)
    ask: Callable[[int], Deferred[int]] = lambda number: client.echo(number, 100)  # noqa: E731
    account = trial.account
    peak_began = clock.seconds()
    await account.in_lanes(ask, concurrency + 2, lambda: clock.seconds() < peak_began + seconds, 10.0)
    peak = len(account.answered) / (clock.seconds() - peak_began)
    answered, began = len(account.answered), clock.seconds()
    rate = times * peak
    await account.at_rate(ask, rate, int(rate * seconds), 10.0)
    goodput = (len(account.answered) - answered) / (clock.seconds() - began)
    offered = int(rate * seconds) / (clock.seconds() - began)
    await account.settled()
    refusals = sorted(account.latencies.get("Overloaded", []))
    most = refusals[int(len(refusals) * 0.99)] if refusals else float("inf")
    seen = (
        f"peak {peak:.0f} calls a second; at {offered:.0f} a second {goodput / peak:.0%} of it, "
        f"{len(refusals):,} Overloaded, 99 % of them within {most * 1000:.1f} ms, "
        f"the slowest {refusals[-1] * 1000 if refusals else 0:.0f} ms; {account.told()}"
    )
    return Finding(
        seen, most <= OVERLOADED_WITHIN and goodput >= GOODPUT * peak and set(account.failed) <= {"Overloaded"}
    )


SCENARIOS = (
    Scenario(
        "rolling-restart",
        "rolling SIGTERM of 3 workers at 500 calls a second",
        "0 errors, nothing run twice",
        rolling_restart,
        quick={"rate": 200, "rounds": 1},
        full={"rate": 500, "rounds": 3},
    ),
    Scenario(
        "flood",
        "ten times the load a worker can take, with `backlog`",
        "`Overloaded` within 50 ms (99 of 100); goodput 80 % of its peak",
        flood,
        quick={"seconds": 2.0, "concurrency": 10, "backlog": 10, "times": 10},
        full={"seconds": 20.0, "concurrency": 10, "backlog": 10, "times": 10},
    ),
)
