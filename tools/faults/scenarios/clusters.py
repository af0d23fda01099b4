"""Faults of one node of a cluster; clients and workers know all nodes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tools.faults.cluster import RabbitMQCluster
from tools.faults.scenario import Finding, Scenario
from tools.faults.trial import Trial
from tools.faults.waiting import clock, pause, until
from tools.nodes.rabbitmq import RabbitMQNode

GO_ON = 5.0
"""Seconds from the fault to the next answer."""

HEARTBEAT = 1


async def leader_killed(trial: Trial, times: int, calls: int, rate: float) -> Finding:
    """Kill the node that leads the request queue, and start it again."""
    cluster: RabbitMQCluster = trial.cluster

    async def strike() -> RabbitMQNode:
        leader = await deferToThread(cluster.leader, f"rpc.{trial.name}")
        await deferToThread(leader.kill)
        return leader

    return await _struck(trial, strike, cluster.mend, times, calls, rate)


async def minority_paused(trial: Trial, times: int, calls: int, rate: float, leads: bool) -> Finding:
    """Freeze one node of three, which leads the request queue or does not, and let it go on."""
    cluster: RabbitMQCluster = trial.cluster

    async def strike() -> RabbitMQNode:
        leader = await deferToThread(cluster.leader, f"rpc.{trial.name}")
        node = leader if leads else next(each for each in cluster.nodes if each is not leader)
        cluster.freeze(node)
        return node

    return await _struck(trial, strike, cluster.mend, times, calls, rate)


async def _struck(
    trial: Trial,
    strike: Callable[[], Coroutine[Any, Any, RabbitMQNode]],
    mend: Callable[[RabbitMQNode], None],
    times: int,
    calls: int,
    rate: float,
) -> Finding:
    """Strike and mend so many times under calls and confirmed oneway calls, by clients and workers on every node."""
    cluster: RabbitMQCluster = trial.cluster
    urls = [_beginning_with(cluster, number) for number in range(len(cluster.nodes))]
    for url in urls:
        await trial.worker(url, queue_type="quorum")
    clients = [await trial.client(url, timeout=30.0) for url in urls]
    notes = [trial.noting(client) for client in clients]

    def ask(number: int) -> Deferred[int]:
        turn = number % len(clients)
        asked: Deferred[int] = clients[turn].echo(number, 0) if number % 5 else notes[turn](number)
        return asked

    calling = Deferred.fromCoroutine(trial.account.at_rate(ask, rate, calls, 30.0))
    gaps = []
    for time in range(times):
        await until("calls are under way", lambda: trial.account.begun >= calls * time / times + rate, 600)  # noqa: B023
        node = await strike()
        struck = clock.seconds()
        await pause(GO_ON + 1)
        gaps.append(_silence(trial, struck, struck + GO_ON + 1, len(clients)))
        await deferToThread(mend, node)
    await calling
    await trial.account.settled()
    lost = await trial.lost()
    account = trial.account
    seen = (
        f"{times} times: of {len(trial.confirmed):,} confirmed oneway calls {lost} lost; the longest time without "
        f"an answer to one of {len(clients)} clients, each on a node of its own, {max(gaps):.1f} s; {account.told()}"
    )
    return Finding(seen, not lost and max(gaps) <= GO_ON)


def _beginning_with(cluster: RabbitMQCluster, number: int) -> str:
    """The URL of all nodes, of which this one comes first."""
    ports = [node.port for node in cluster.nodes]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports[number:] + ports[:number])
    return f"amqp://guest:guest@{hosts}?heartbeat={HEARTBEAT}"


def _silence(trial: Trial, since: float, till: float, clients: int) -> float:
    """The longest time between two answers to the same client."""
    longest = 0.0
    for client in range(clients):
        times = sorted(at for number, at in trial.account.answered.items() if number % clients == client)
        times = [since, *(at for at in times if since < at < till), till]
        longest = max(longest, *(later - earlier for earlier, later in pairwise(times)))
    return longest


SCENARIOS = (
    Scenario(
        "leader-killed",
        "`kill -9` of the node that leads the quorum queue, one of 3",
        "0 confirmed lost; calls go on in 5 s",
        leader_killed,
        quick={"times": 1, "calls": 500, "rate": 50},
        full={"times": 3, "calls": 2500, "rate": 50},
        cluster=True,
    ),
    Scenario(
        "minority-paused",
        "a node of 3 paused that does not lead the queue",
        "0 confirmed lost; calls go on in 5 s",
        minority_paused,
        quick={"times": 1, "calls": 500, "rate": 50, "leads": False},
        full={"times": 3, "calls": 2500, "rate": 50, "leads": False},
        cluster=True,
    ),
    Scenario(
        "leader-paused",
        "the leader's node of 3 paused",
        "0 confirmed lost; calls go on in 5 s",
        minority_paused,
        quick={"times": 1, "calls": 500, "rate": 50, "leads": True},
        full={"times": 3, "calls": 2500, "rate": 50, "leads": True},
        cluster=True,
    ),
)
