"""Thrift's own clients for Python and Node.js, which know no broker: they play the cases through a gateway."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any, ClassVar

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.protocol.THeaderProtocol import THeaderProtocol
from thrift.protocol.TJSONProtocol import TJSONProtocol
from thrift.protocol.TMultiplexedProtocol import TMultiplexedProtocol
from thrift.transport.THeaderTransport import THeaderClientType, THeaderSubprotocolID
from thrift.transport.THttpClient import THttpClient
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import TFramedTransport
from twisted.internet.threads import deferToThread

from rpc.envelope import CODECS
from rpc.gateway import Gateway, GatewayOptions
from tests.cross_test.json_values import Types
from tests.cross_test.node_peer import NodePeer
from tests.cross_test.plain_stubs import ours, plain_stubs, plain_types
from tests.cross_test.playing import Outcome
from tests.cross_test.programs import program_of, types_of
from tests.cross_test.spying import PATIENCE
from tests.cross_test.values import Case, with_classes

PROTOCOLS = {"binary": TBinaryProtocol, "compact": TCompactProtocol, "json": TJSONProtocol}
SUBPROTOCOLS = {"binary": THeaderSubprotocolID.BINARY, "compact": THeaderSubprotocolID.COMPACT}
ENDPOINT = "tcp:0:interface=127.0.0.1"


class _GatewayDoor:
    """A gateway in this process, with one port.

    :cvar option: of the gateway: ``framed`` or ``http``.
    """

    option: ClassVar[str]
    protocols = tuple(CODECS)

    def __init__(self, url: str, protocol: str) -> None:
        self._url, self._protocol = url, protocol

    async def open(self, services: Iterable[str]) -> None:
        options = GatewayOptions(timeout=PATIENCE)
        ports: dict[str, Any] = {self.option: [ENDPOINT]}
        self._gateway = Gateway(self._url, services, options=options, **ports)
        self._gateway.startService()
        await self._gateway.when_listening()
        address: Any = self._gateway.ports[0].getHost()
        self._port: int = address.port

    async def close(self) -> None:
        await self._gateway.stopService()


class _StockDoor(_GatewayDoor):
    """The stubs of ``thrift --gen py``, on one of Thrift's transports, in a thread."""

    async def open(self, services: Iterable[str]) -> None:
        await super().open(services)
        self._transports: dict[str, Any] = {}

    async def call(self, case: Case, service: str, stub: ModuleType, arguments: tuple[Any, ...]) -> Outcome:
        name = case.stub or case.service
        try:
            values = with_classes(case.arguments, plain_types(name))
            result = await deferToThread(self._call, plain_stubs()[name], service, case.method, values)
        except Exception as error:  # of the IDL, of Thrift, or of a value that does not encode
            await deferToThread(self._disconnect)  # an error may leave half a message in Thrift's buffers
            return "raises", ours(error, name)
        return "returns", ours(result, name)

    def _call(self, stub: Any, service: str, method: str, values: tuple[Any, ...]) -> Any:
        return getattr(stub.Client(self._connected(service)), method)(*values)

    def _connected(self, service: str) -> Any:
        """Return a protocol on an open transport, for calls of a service."""
        raise NotImplementedError

    def _opened(self, key: str, make: Any) -> Any:
        if key not in self._transports:
            transport = make()
            transport.open()
            self._transports[key] = transport
        return self._transports[key]

    def _socket(self) -> TSocket:
        socket = TSocket("127.0.0.1", self._port)
        socket.setTimeout(int(PATIENCE * 1000))
        return socket

    def _disconnect(self) -> None:
        while self._transports:
            self._transports.popitem()[1].close()

    async def close(self) -> None:
        await deferToThread(self._disconnect)
        await super().close()


class FramedDoor(_StockDoor):
    """``TFramedTransport``. The name of the message has the service."""

    option = "framed"

    def _connected(self, service: str) -> Any:
        transport = self._opened("framed", lambda: TFramedTransport(self._socket()))
        return TMultiplexedProtocol(PROTOCOLS[self._protocol](transport), service)


class HeaderDoor(_StockDoor):
    """``THeaderTransport``. It has no JSON."""

    option = "framed"
    protocols = tuple(SUBPROTOCOLS)

    def _connected(self, service: str) -> Any:
        socket = self._opened("header", self._socket)
        protocol = THeaderProtocol(socket, (THeaderClientType.HEADERS,), SUBPROTOCOLS[self._protocol])
        return TMultiplexedProtocol(protocol, service)


class HttpDoor(_StockDoor):
    """``THttpClient``. The path has the service."""

    option = "http"

    def _connected(self, service: str) -> Any:
        address = f"http://127.0.0.1:{self._port}/{service}"
        return PROTOCOLS[self._protocol](self._opened(service, lambda: THttpClient(address)))


class _StockNodeDoor(_GatewayDoor):
    """The connections of Thrift for Node.js, with the protocols that ``examples/node`` repairs."""

    async def open(self, services: Iterable[str]) -> None:
        await super().open(services)
        self._peer = await deferToThread(NodePeer)

    async def call(self, case: Case, service: str, stub: ModuleType, arguments: tuple[Any, ...]) -> Outcome:
        types = Types(stub, types_of(stub))
        said = await deferToThread(
            self._peer.ask,
            "call_stock",
            stub=case.stub or case.service,
            program=program_of(case.service),
            service=service,
            method=case.method,
            values=types.arguments_to_json(case.method, case.arguments),
            protocol=self._protocol,
            door=self.option,
            port=self._port,
        )
        return types.outcome_from_json(case.method, said)

    async def close(self) -> None:
        await deferToThread(self._peer.close)
        await super().close()


class NodeFramedDoor(_StockNodeDoor):
    """``createConnection`` with ``TFramedTransport``, and a ``Multiplexer``."""

    option = "framed"


class NodeHttpDoor(_StockNodeDoor):
    """``createHttpConnection``."""

    option = "http"
