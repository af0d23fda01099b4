"""Faults of slow handlers: they block the reactor, or take longer than RabbitMQ's delivery acknowledgement timeout."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults

from rpc.worker.service import REDELIVERY_LIMIT
from tools.faults.probe import Ask
from tools.faults.scenario import Finding, Scenario
from tools.faults.settlement import all_settled, dead_numbers
from tools.faults.trial import Trial
from tools.faults.waiting import clock, pause

PREFETCH = 8
OUTLASTING = 10.0
"""Seconds of a call in which RabbitMQ closes two channels for a timeout of 2 s: also a busy one, which looks later."""

LATER = 2.0
"""Seconds after all requests have ended, in which nothing may begin."""

TIMEOUT_SET = (
    "application:set_env(rabbit, consumer_timeout, {}), application:set_env(rabbit, channel_tick_interval, {})."
)
"""RabbitMQ looks for overdue deliveries at each tick of a channel. Channels that open later use the new values."""

CLASSIC_WITHOUT_TIMEOUT = (4, 3)
"""The version of RabbitMQ from which classic queues have no such timeout."""

USUAL_TIMEOUT, USUAL_TICK = 1_800_000, 60_000
"""Milliseconds: RabbitMQ's own values (documentation, "Consumers: Delivery Acknowledgement Timeout")."""


async def reactor_blocked(
    trial: Trial, workers: int, blocks: int, seconds: float, parameters: str = "", limit: int | None = REDELIVERY_LIMIT
) -> Finding:
    """Let oneway handlers block the reactor for longer than the heartbeat allows, with other calls beside them."""
    url = trial.url + parameters
    processes = await trial.processes_at_once(workers, url, concurrency=PREFETCH, redelivery_limit=limit)
    client = await trial.client(timeout=600.0)
    account, confirmed = trial.account, set[int]()

    def blocking(number: int) -> Deferred[int]:
        sent: Deferred[None] = client.block(number, int(seconds * 1000))
        return sent.addCallback(lambda _: confirmed.add(number)).addCallback(lambda _: number)

    began = clock.seconds()
    asked: list[Deferred[bool]] = []
    for _ in range(blocks):
        asked.append(account.ask(blocking, 600.0))
        asked += [account.ask(lambda number: client.once(number, 0), 600.0) for _ in range(PREFETCH - 1)]
    await gatherResults(asked)
    bound = workers * blocks * ((limit or 1) + 1) * (seconds + 5)
    await all_settled(trial, bound)
    took = clock.seconds() - began
    begun = trial.journal.runs("block")
    await pause(LATER)
    later = sum(trial.journal.runs("block").values()) - sum(begun.values())
    dead = await dead_numbers(trial, "block")
    vanished = confirmed - set(begun) - set(dead)
    most, beside = max(begun.values()), trial.journal.runs("once")
    lost = sum(process.output().count("lost: ") for process in processes)
    seen = (
        f"{workers} {'worker' if workers == 1 else 'workers'}, {blocks} requests that block {seconds:g} s, limit "
        f"{limit}: {lost} connections lost; begun {most} times at most, {len(dead)} dead letters, {len(vanished)} "
        f"vanished; all ended after {took:.0f} s, {later} begun later; {account.told()}; the calls beside them began "
        f"{max(beside.values())} times at most"
    )
    met = lost > 0 and most <= (limit or 0) + 1 and not vanished and not later and not account.errors
    return Finding(seen, met)


async def delivery_timed_out(
    trial: Trial, workers: int, seconds: float, timeout: float, limit: int = REDELIVERY_LIMIT or 0
) -> Finding:
    """Let a call take several times RabbitMQ's delivery acknowledgement timeout."""
    major, minor, *_ = (await trial.ctl("version")).strip().split(".")
    times_out = (int(major), int(minor)) < CLASSIC_WITHOUT_TIMEOUT
    await trial.ctl("eval", TIMEOUT_SET.format(int(timeout * 1000), 500))
    try:
        processes = await trial.processes_at_once(workers, redelivery_limit=limit)
        client = await trial.client(timeout=600.0)
        ask: Ask = lambda number: client.work(number, int(seconds * 1000))  # noqa: E731
        await trial.account.ask(ask, 600.0)
        await all_settled(trial, 2 * seconds + 10)
    finally:
        await trial.ctl("eval", TIMEOUT_SET.format(USUAL_TIMEOUT, USUAL_TICK))
    account, begun = trial.account, trial.journal.runs("work")
    outputs = [process.output() for process in processes]
    closed = sum(output.count("channel lost") for output in outputs)
    told = max(output.count("consumer_timeout=") for output in outputs)
    at_once = trial.journal.most_at_once("work", "worked")
    begins, dead = sum(begun.values()), len(await dead_numbers(trial, "work"))
    seen = (
        f"{workers} {'worker' if workers == 1 else 'workers'}, a call of {seconds:g} s, a timeout of {timeout:g} s: "
        f"{closed} channels closed, the remedy told {told} times in a worker's log at most; begun {begins} times, at "
        f"most {at_once} at a time in one worker, {dead} dead letters; {account.told()}, after {account.slowest:.1f} s"
    )
    most = 1 if workers == 1 else limit + 1
    settled = len(account.answered) == 1 or (workers > 1 and dead == 1)
    noticed = closed > 1 and told == 1 if times_out else closed == 0 and begins == 1
    return Finding(seen, noticed and begins <= most and at_once == 1 and settled)


BLOCKED = "every request begins at most limit + 1 times and ends (run or dead letter); calls beside it are answered"
TIMED_OUT_ALONE = "runs once, answered once: its redelivered copies join"
TIMED_OUT_BESIDE = "begins at most limit + 1 times, never twice at a time in one worker; the call is settled"

SCENARIOS = (
    Scenario(
        "reactor-blocked",
        "oneway handlers that block the reactor 4 s with `heartbeat=1`, 1 worker",
        BLOCKED,
        reactor_blocked,
        quick={"workers": 1, "blocks": 2, "seconds": 4.0, "parameters": "?heartbeat=1", "limit": 3},
        full={"workers": 1, "blocks": 10, "seconds": 4.0, "parameters": "?heartbeat=1", "limit": 3},
    ),
    Scenario(
        "reactor-blocked-two-workers",
        "the same with 2 workers",
        BLOCKED,
        reactor_blocked,
        quick={"workers": 2, "blocks": 1, "seconds": 4.0, "parameters": "?heartbeat=1", "limit": 3},
        full={"workers": 2, "blocks": 10, "seconds": 4.0, "parameters": "?heartbeat=1", "limit": 3},
    ),
    Scenario(
        "reactor-blocked-defaults",
        "a oneway handler that blocks the reactor 50 s (short form: 4 s with `heartbeat=1`), default limit, 1 worker",
        "begins at most 6 times; then nothing more is run",
        reactor_blocked,
        quick={"workers": 1, "blocks": 1, "seconds": 4.0, "parameters": "?heartbeat=1"},
        full={"workers": 1, "blocks": 1, "seconds": 50.0},
    ),
    Scenario(
        "delivery-timed-out",
        "a call of 4 times RabbitMQ's delivery acknowledgement timeout, 1 worker",
        TIMED_OUT_ALONE,
        delivery_timed_out,
        quick={"workers": 1, "seconds": OUTLASTING, "timeout": 2.0},
        full={"workers": 1, "seconds": 20.0, "timeout": 5.0},
    ),
    Scenario(
        "delivery-timed-out-two-workers",
        "the same with 2 workers and a limit of 3",
        TIMED_OUT_BESIDE,
        delivery_timed_out,
        quick={"workers": 2, "seconds": OUTLASTING, "timeout": 2.0, "limit": 3},
        full={"workers": 2, "seconds": 20.0, "timeout": 5.0, "limit": 3},
    ),
)
