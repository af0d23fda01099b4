"""Faults of workers and clients: killed, or crashed by a request."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from rpc.errors import ChannelClosed
from rpc.reply_codes import NOT_FOUND
from tools.faults.probe import variables
from tools.faults.scenario import Finding, Scenario
from tools.faults.trial import Trial
from tools.faults.waiting import POLL, clock, pause, together
from tools.faults.workers import FaultyProcess, WorkerProcess

PREFETCH = 8
WORK = 50
"""Milliseconds that a call takes where there are to be calls in progress at any moment."""

HEARTBEAT = 2.0


async def worker_killed(trial: Trial, kills: int, period: float, **options: Any) -> Finding:
    """Kill one of three workers every so often, and start another in its place."""
    workers = await trial.processes_at_once(3, concurrency=PREFETCH, **options)
    client = await trial.client(timeout=30.0)

    async def kill() -> None:
        for number in range(kills):
            await pause(period)
            workers[number % 3].kill()
            workers[number % 3] = await trial.process(concurrency=PREFETCH, **options)

    killing = Deferred.fromCoroutine(kill())
    account = trial.account
    await account.in_lanes(lambda number: client.once(number, WORK), 3 * PREFETCH, lambda: not killing.called, 30.0)
    await killing
    runs = trial.journal.runs("once")
    repeated = sum(runs.values()) - len(runs)
    seen = (
        f"{kills} kills: {account.told()}; repeated executions {repeated}, of at most {kills * PREFETCH} "
        f"({PREFETCH} a kill); slowest {account.slowest:.1f} s"
    )
    return Finding(seen, not account.errors and repeated <= kills * PREFETCH)


async def clients_killed(trial: Trial, clients: int, times: int) -> Finding:
    """Kill clients with calls in progress, beside one that goes on calling."""
    worker = await trial.process(concurrency=PREFETCH)
    bystander = await trial.client(timeout=10.0)
    slowest = 0.0
    running = Deferred[None]()
    account = trial.account
    calling = Deferred.fromCoroutine(
        account.in_lanes(lambda number: bystander.echo(number, 1), 1, lambda: not running.called, 10.0)
    )
    try:
        for _ in range(times):
            killed = [_calling_client(trial) for _ in range(clients)]
            await together(each.says("calling") for each in killed)
            queues = [each.output().split()[1] for each in killed]
            at = clock.seconds()
            for each in killed:
                each.kill()
            for queue in queues:
                await _gone(trial, queue, within=3 * HEARTBEAT)
            slowest = max(slowest, clock.seconds() - at)
    finally:
        running.callback(None)
        await calling
    seen = (
        f"{times} times {clients} clients: their queues gone {slowest:.1f} s after the kill; a client "
        f"beside them: {account.told()}, slowest {account.slowest:.2f} s; the worker "
        f"{'still runs' if worker.running else 'has ended'}"
    )
    met = slowest <= 2 * HEARTBEAT and not account.errors and account.slowest < 2 * HEARTBEAT
    return Finding(seen, met and worker.running)


async def _gone(trial: Trial, queue: str, within: float) -> None:
    """Wait until the broker knows an exclusive queue no more; while it does, it says that it is locked."""
    connection = trial.connections[0]._link.connection
    assert connection is not None
    ends = clock.seconds() + within
    while clock.seconds() < ends:
        channel = await connection.open_channel()
        try:
            await channel.queue_declare(queue=queue, passive=True)
        except ChannelClosed as closed:
            if closed.code == NOT_FOUND:
                return
        await pause(POLL)


def _calling_client(trial: Trial) -> FaultyProcess:
    """A process that keeps calls in progress until it is killed."""
    url = f"{trial.url}?heartbeat={HEARTBEAT:.0f}"
    command = [sys.executable, "-m", "tools.faults.caller", url, trial.name]
    process = FaultyProcess("calling client", command, variables(trial.journal, {}))
    trial.processes.append(process)
    return process


async def poison(trial: Trial, limit: int, queue_type: str) -> Finding:
    """Ask something that ends the worker's process each time; a supervisor starts it again, as an init system would."""
    options = {"redelivery_limit": limit, "queue_type": queue_type, "concurrency": PREFETCH}
    supervisor = Supervisor(trial, options)
    await supervisor.start()
    client = await trial.client(timeout=60.0)
    account = trial.account
    dead = 0
    try:
        poisoned = client.crash(-1).addErrback(lambda failure: failure.value)
        began = clock.seconds()
        harmless = [account.ask(lambda number: client.echo(number, 10), 60.0) for _ in range(30)]
        while not dead and clock.seconds() < began + 60:
            await pause(0.3)
            listed = (await trial.ctl("list_queues", "name", "messages")).splitlines()
            counts = dict(line.split("\t") for line in listed)
            dead = int(counts.get(f"rpc.{trial.name}.dead", 0))
        took = clock.seconds() - began
        await gatherResults(harmless)
        restarts = supervisor.restarts
        await account.ask(lambda number: client.echo(number, 10), 60.0)
    finally:
        await supervisor.stop()
        poisoned.cancel()
    crashes = sum(trial.journal.runs("crash").values())
    seen = (
        f"limit {limit}, {queue_type} queue: run {crashes} times, "
        f"{f'a dead letter after {took:.1f} s' if dead else 'never a dead letter'}; "
        f"{restarts} restarts; the others: {account.told()}"
    )
    return Finding(seen, dead == 1 and crashes <= limit + 1 and not account.errors)


class Supervisor:
    """Keeps one worker running."""

    def __init__(self, trial: Trial, options: dict[str, Any]) -> None:
        self._trial = trial
        self._options = options
        self._running = True
        self._watching: Deferred[None] | None = None
        self.restarts = 0

    async def start(self) -> None:
        """Start the worker, and again whenever it ends."""
        worker = await self._trial.process(**self._options)
        self._watching = Deferred.fromCoroutine(self._watch(worker))

    async def _watch(self, worker: WorkerProcess) -> None:
        while self._running:
            if not worker.running:
                self.restarts += 1
                options = {"name": self._trial.name, **self._options}
                worker = WorkerProcess(self._trial.url, options, self._trial.journal)
                self._trial.processes.append(worker)
            await pause(0.05)

    async def stop(self) -> None:
        """Start it no more."""
        self._running = False
        if self._watching is not None:
            await self._watching


SCENARIOS = (
    Scenario(
        "worker-killed",
        "`kill -9` of one of 3 workers every 5 s",
        "0 lost; repeated executions at most the prefetch a kill",
        worker_killed,
        quick={"kills": 2, "period": 0.7},
        full={"kills": 12, "period": 5.0},
    ),
    Scenario(
        "worker-killed-deduplicate",
        "the same with `deduplicate`",
        "0 lost; repeated executions at most the prefetch a kill (the reply's holder is dead)",
        worker_killed,
        quick={"kills": 1, "period": 0.7, "deduplicate": True},
        full={"kills": 12, "period": 5.0, "deduplicate": True},
    ),
    Scenario(
        "clients-killed",
        "`kill -9` of clients",
        "their queues gone in 2 heartbeats; no worker stalls",
        clients_killed,
        quick={"clients": 3, "times": 1},
        full={"clients": 5, "times": 10},
    ),
    Scenario(
        "poison-classic",
        "handler that always crashes the worker, classic queue",
        "in the dead-letter queue after the limit; others unharmed",
        poison,
        quick={"limit": 1, "queue_type": "classic"},
        full={"limit": 5, "queue_type": "classic"},
    ),
    Scenario(
        "poison-quorum",
        "handler that always crashes the worker, quorum queue",
        "in the dead-letter queue after the limit; others unharmed",
        poison,
        quick={"limit": 1, "queue_type": "quorum"},
        full={"limit": 5, "queue_type": "quorum"},
    ),
)
