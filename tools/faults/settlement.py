"""The ends of requests, as the broker has them: its queues are empty, and dead letters are read with their numbers."""

from __future__ import annotations

from rpc.cli.dead_queues import DeadQueues
from rpc.stub import Stub
from rpc.topology import DeadLetterKind, ServiceTopology
from rpc.worker.arguments import ArgumentsReader
from rpc.worker.request import Request
from tools.faults.probe import stub
from tools.faults.trial import Trial
from tools.faults.waiting import Late, clock, pause

OWN_QUEUES = "rpc.worker."
"""How the names of workers' own queues begin."""

LOOK = 0.5
"""Seconds between two looks at the broker's queues."""


async def all_settled(trial: Trial, within: float) -> float:
    """Wait until no queue of the service, and none of a worker, has a message; return how many seconds that took.

    Dead letters do not count.

    :raises Late: it takes longer.
    """
    began = clock.seconds()
    while waiting := await _unsettled(trial):
        if clock.seconds() - began > within:
            raise Late(f"not within {within:g} s: requests are settled; messages by queue: {waiting}")
        await pause(LOOK)
    return float(clock.seconds() - began)


async def _unsettled(trial: Trial) -> dict[str, int]:
    shared = (f"rpc.{trial.name}", f"rpc.{trial.name}.quarantine")
    found = await queues(trial)
    return {name: found[name] for name in found if found[name] and (name in shared or name.startswith(OWN_QUEUES))}


async def queues(trial: Trial) -> dict[str, int]:
    """The queues of the virtual host, with the messages of each, unacked ones included."""
    listed = (await trial.ctl("list_queues", "name", "messages")).splitlines()[1:]
    words = (line.split("\t") for line in listed)
    return {name: int(messages) for name, messages in words}


async def instances(trial: Trial) -> list[str]:
    """The instances of the workers that are connected, from the names of their queues."""
    names = (name for name in await queues(trial) if name.startswith(OWN_QUEUES))
    return [name.removeprefix(OWN_QUEUES).rpartition(".")[0] for name in names]


async def dead_numbers(trial: Trial, method: str) -> list[int]:
    """The numbers of the dead letters that ask for `method`."""
    topology = ServiceTopology(trial.name)
    if set(map(topology.queue_of_kind, DeadLetterKind)).isdisjoint(await queues(trial)):
        return []
    connection = trial.connections[0]._link.connection
    assert connection is not None
    dead = DeadQueues(clock, connection, topology, tuple(DeadLetterKind))
    await dead.look()
    numbers = []
    while letters := await dead.next_round():
        for letter in letters:
            assert letter.content is not None
            request = Request(letter.content, 0.0)
            asked, start = request.read_head(trial.name, Stub.of(stub()).methods)
            if asked.name == method:
                numbers.append(int(ArgumentsReader(trial.name).read(request, asked, start).number))
    await dead.put_back()
    return numbers
