"""The clients that play the cases besides Twisted's, and the workers besides ours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

import rpc.aio
import rpc.blocking
from rpc.envelope import CODECS
from tests.cross_test.gateway_doors import FramedDoor, HeaderDoor, HttpDoor, NodeFramedDoor, NodeHttpDoor
from tests.cross_test.json_values import Types
from tests.cross_test.node_peer import NodePeer
from tests.cross_test.plain_peer import PlainDoor
from tests.cross_test.playing import Outcome, outcome_of
from tests.cross_test.programs import program_of, types_of
from tests.cross_test.spying import PATIENCE
from tests.cross_test.values import Case


class Door(Protocol):
    """A client."""

    def __init__(self, url: str, protocol: str) -> None: ...

    async def open(self, services: Iterable[str]) -> None:
        """Connect.

        :param services: the names on the broker that will be called.
        """

    async def call(self, case: Case, service: str, stub: ModuleType, arguments: tuple[Any, ...]) -> Outcome:
        """Call, and return the outcome. The broker has the request of a oneway call before that of the next call."""

    async def close(self) -> None:
        """Leave nothing behind."""


class AsyncioDoor:
    """``rpc.aio``, on an event loop in a thread."""

    def __init__(self, url: str, protocol: str) -> None:
        self._protocol = protocol
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._connection = rpc.aio.connect(url)

    async def open(self, services: Iterable[str]) -> None:
        self._thread.start()
        await self._run(self._connection)

    async def call(self, case: Case, service: str, stub: ModuleType, arguments: tuple[Any, ...]) -> Outcome:
        client = self._connection.client(stub, name=service, protocol=self._protocol, timeout=PATIENCE)
        outcome: Outcome = await self._run(outcome_of(_Begun(client, case.method, arguments)))
        return outcome

    async def close(self) -> None:
        await self._run(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await deferToThread(self._thread.join)
        self._loop.close()

    def _run(self, awaited: Any) -> Deferred[Any]:
        async def run() -> Any:
            return await awaited

        return deferToThread(asyncio.run_coroutine_threadsafe(run(), self._loop).result)


class _Begun:
    """A call that begins when it is awaited, in the event loop."""

    def __init__(self, client: Any, method: str, arguments: tuple[Any, ...]) -> None:
        self._client, self._method, self._arguments = client, method, arguments

    def __await__(self) -> Any:
        return getattr(self._client, self._method)(*self._arguments).__await__()


class BlockingDoor:
    """``rpc.blocking``, from threads."""

    def __init__(self, url: str, protocol: str) -> None:
        self._url, self._protocol = url, protocol

    async def open(self, services: Iterable[str]) -> None:
        self._connection = await deferToThread(rpc.blocking.connect, self._url)

    async def call(self, case: Case, service: str, stub: ModuleType, arguments: tuple[Any, ...]) -> Outcome:
        client: Any = self._connection.client(stub, name=service, protocol=self._protocol, timeout=PATIENCE)
        return await outcome_of(deferToThread(getattr(client, case.method), *arguments))

    async def close(self) -> None:
        await deferToThread(self._connection.close)


class NodeDoor:
    """The client of ``examples/node``."""

    def __init__(self, url: str, protocol: str) -> None:
        self._url, self._protocol = url, protocol

    async def open(self, services: Iterable[str]) -> None:
        self._peer = await deferToThread(NodePeer, self._url)

    async def call(self, case: Case, service: str, stub: ModuleType, arguments: tuple[Any, ...]) -> Outcome:
        types = Types(stub, types_of(stub))
        said = await deferToThread(
            self._peer.ask,
            "call",
            stub=case.stub or case.service,
            program=program_of(case.service),
            service=service,
            method=case.method,
            values=types.arguments_to_json(case.method, case.arguments),
            protocol=self._protocol,
        )
        return types.outcome_from_json(case.method, said)

    async def close(self) -> None:
        await deferToThread(self._peer.close)


DOORS: Mapping[str, type[Door]] = {
    "asyncio": AsyncioDoor,
    "blocking": BlockingDoor,
    "node": NodeDoor,
    "plain": PlainDoor,
    "gateway-framed": FramedDoor,
    "gateway-header": HeaderDoor,
    "gateway-http": HttpDoor,
    "gateway-node-framed": NodeFramedDoor,
    "gateway-node-http": NodeHttpDoor,
}
"""The clients by name."""


def protocols_of(door: str) -> Sequence[str]:
    """Return the protocols that a client has."""
    protocols: Sequence[str] = getattr(DOORS[door], "protocols", tuple(CODECS))
    return protocols
