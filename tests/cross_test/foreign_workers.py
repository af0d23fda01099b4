"""Workers that are not ours, which play the cases with our client."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from twisted.internet.threads import deferToThread

from rpc.stub import Stub
from rpc.testing import Harness
from tests.cross_test.json_values import Types
from tests.cross_test.node_peer import NodePeer
from tests.cross_test.plain_peer import PlainWorker
from tests.cross_test.playing import Call, answer_of, outcome_of
from tests.cross_test.programs import program_of, stubs, types_of
from tests.cross_test.spying import PATIENCE
from tests.cross_test.values import NOT_RUN, Answer, Case, with_classes


class ForeignWorker(Protocol):
    """A worker with handlers that note their arguments, and answer as they are told."""

    async def open(self, services: Mapping[str, str]) -> None:
        """Serve the services: their names on the broker, by their names in the IDL."""

    async def answer(self, case: Case, answer: Answer) -> None:
        """Let the handlers answer so, and forget the calls so far."""

    async def taken(self, case: Case) -> list[tuple[Any, ...]]:
        """Return the arguments of each call of the case."""

    async def close(self) -> None:
        """Leave nothing behind."""


class NodeWorker:
    """The worker of ``examples/node``."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self, services: Mapping[str, str]) -> None:
        self._peer = await deferToThread(NodePeer, self._url)
        await deferToThread(self._peer.ask, "serve", services=[*services.items()])

    async def answer(self, case: Case, answer: Answer) -> None:
        what, value = _types(case).answer_to_json(case.method, answer)
        await deferToThread(self._peer.ask, "answer", what=what, value=value, program=program_of(case.service))

    async def taken(self, case: Case) -> list[tuple[Any, ...]]:
        types = _types(case)
        return [
            types.arguments_from_json(case.method if values else "nothing", values)
            for values in await deferToThread(self._peer.ask, "taken")
        ]

    async def close(self) -> None:
        await deferToThread(self._peer.close)


def _types(case: Case) -> Types:
    stub = stubs()[case.service]
    return Types(stub, types_of(stub))


WORKERS: Mapping[str, Callable[[str], ForeignWorker]] = {"node": NodeWorker, "plain": PlainWorker}
"""The workers by name."""


async def play_against(
    worker: ForeignWorker, url: str, protocol: str, cases: Iterable[Case]
) -> dict[str, tuple[Call, Call]]:
    """Play cases with our client, one after another.

    :return: the call that had to come and the one that came, by the case's name.
    """
    names = {case.service: f"{case.service}.{secrets.token_hex(4)}" for case in cases}
    played = {}
    async with Harness(url=url) as harness:
        await worker.open(names)
        try:
            for case in cases:
                played[case.name] = await _play(worker, harness, names[case.service], protocol, case)
        finally:
            await worker.close()
    return played


async def _play(worker: ForeignWorker, harness: Harness, name: str, protocol: str, case: Case) -> tuple[Call, Call]:
    stub, types = stubs()[case.stub or case.service], types_of(stubs()[case.service])
    await worker.answer(case, case.answer)
    client: Any = harness.client(stub, name=name, protocol=protocol, timeout=PATIENCE)
    arguments = with_classes(case.arguments, types_of(stub))
    outcome = await outcome_of(getattr(client, case.method)(*arguments))
    oneway = Stub.of(stub).methods[case.method].oneway
    if oneway:  # the next call to the service comes after it
        await outcome_of(harness.client(stubs()[case.service], name=name).nothing())
    taken = await worker.taken(case)
    if oneway:
        assert taken.pop() == ()
    assert len(taken) <= 1, "the handler ran more than once"
    expected = with_classes(case.expected_arguments, types)
    seen = tuple(taken[0]) if taken else NOT_RUN
    return Call(expected, answer_of(case.expected_outcome, types_of(stub))), Call(seen, outcome)
