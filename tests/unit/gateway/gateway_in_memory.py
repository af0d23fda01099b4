"""A gateway's connections of clients, on a broker in memory."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from rpc.client.options import ClientOptions
from rpc.client.raw import RawClient
from rpc.envelope import CODECS, read_application_exception
from rpc.gateway.connections import Connections
from rpc.gateway.factory import ClientFactory
from rpc.gateway.forwarder import Forwarder
from rpc.gateway.framed import FramedConnection
from rpc.gateway.http import CallChannel
from rpc.gateway.options import GatewayOptions
from tests.unit.client.caller_in_memory import CallerInMemory
from tests.unit.wire import Published

Calculator: Any = CalculatorStub


class ConnectionInMemory:
    """As much of a connection to the broker as a gateway needs."""

    def __init__(self, caller: CallerInMemory) -> None:
        self._caller = caller

    def raw_client(self, service: str, **options: Any) -> RawClient:
        """Return a client on the broker in memory."""
        return RawClient(self._caller.subject.call, ClientOptions(name=service, **options))

    def at_end_of_pass(self, function: Callable[[], None]) -> None:
        """As the connection does."""
        self._caller.wire.peer.connection.at_end_of_pass(function)


class Transport(StringTransport):
    """A transport that says whether it was aborted, and has full buffers when the test says so."""

    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is no delay."""

    def abortConnection(self) -> None:
        """Note it."""
        self.aborted = True
        super().abortConnection()

    def take(self) -> bytes:
        """Return the bytes that were written since the last time."""
        written: bytes = self.value()
        self.clear()
        return written


def request(name: str = "add", seqid: int = 7, protocol: str = "binary", kind: int = TMessageType.CALL) -> bytes:
    """Return a message as a stock client encodes it."""
    return CODECS[protocol].encode(name, kind, seqid, Calculator.add_args(1, 2))


def result(value: int = 3, seqid: int = 7, protocol: str = "binary", name: str = "add") -> bytes:
    """Return the answer that a stock client expects."""
    return CODECS[protocol].encode(name, TMessageType.REPLY, seqid, Calculator.add_result(value))


def framed(*messages: bytes) -> bytes:
    """Return messages in frames."""
    return b"".join(struct.pack("!I", len(message)) + message for message in messages)


def frames(data: bytes) -> list[bytes]:
    """Return the messages in frames."""
    found = []
    while data:
        (length,) = struct.unpack_from("!I", data)
        found.append(data[4 : 4 + length])
        assert len(found[-1]) == length
        data = data[4 + length :]
    return found


def frame_in(data: bytes) -> bytes:
    """Return the message in the only frame."""
    (message,) = frames(data)
    return message


def exception_in(message: bytes, protocol: str = "binary") -> tuple[str, int, int, str]:
    """Return name, seqid, type and text of an EXCEPTION message."""
    codec = CODECS[protocol]
    name, kind, seqid, start = codec.read_header(message)
    assert kind == TMessageType.EXCEPTION, kind
    error: TApplicationException = read_application_exception(codec, message, start)
    return name, seqid, error.type, error.message or ""


class GatewayTestCase(SynchronousTestCase):
    """A gateway to the services Calculator and Other.

    :ivar clock: its time.
    """

    def set_up(self, is_open: bool = True, **options: Any) -> None:
        """Make the gateway anew, with these options. Without a channel, its calls are not sent."""
        self.caller = CallerInMemory()
        self.clock = self.caller.wire.clock
        if is_open:
            self.caller.open()
        self.options = GatewayOptions(**options)
        self.connections = Connections(self.options, self.clock)
        connection: Any = ConnectionInMemory(self.caller)
        self.forwarder = Forwarder(connection, ["Calculator", "Other"], self.options, self.clock)

    def setUp(self) -> None:
        self.set_up()

    def connect(self, http: bool = False) -> tuple[Any, Transport]:
        """Return the protocol of a new client, and its transport."""
        kind = CallChannel if http else FramedConnection
        factory = ClientFactory(kind, self.forwarder, self.connections, self.options, self.clock)
        protocol: Any = factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 4000))
        transport = Transport()
        protocol.makeConnection(transport)
        return protocol, transport

    def requests(self) -> list[Published]:
        """Return the requests that were published since the last time."""
        return self.caller.wire.take()

    def answer(self, published: Published, value: int = 3) -> None:
        """Answer a request as a worker does."""
        protocol = published.properties.content_type.rpartition(".")[2]  # type: ignore[union-attr]
        codec = CODECS[protocol]
        name, _, seqid, _ = codec.read_header(published.body)
        body = codec.encode(name, TMessageType.REPLY, seqid, Calculator.add_result(value))
        self.caller.reply_bytes(published, body)

    def leave(self, protocol: Any) -> None:
        """The client is gone."""
        protocol.connectionLost(Failure(ConnectionDone()))

    def assert_nothing_left(self) -> None:
        """No call, no timer and no byte in memory is left."""
        self.assertEqual(self.caller.leftovers(), [])
        self.assertEqual((self.connections.open, self.connections.buffered), (set(), 0))
        self.connections.stop()
        self.forwarder.stop()
