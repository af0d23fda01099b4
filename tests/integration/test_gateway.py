"""Stock Thrift clients call through a gateway; others try to harm it."""

from __future__ import annotations

import gc
import json
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import trustme
from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

import rpc
from generated.calculator import Calculator as CalculatorStub
from rpc.envelope import CODECS
from rpc.gateway import Gateway, GatewayOptions
from services.calculator import CalculatorHandler
from tests.integration.call_case import CallTestCase, pause
from tests.integration.documents import ROOT
from tests.unit.gateway.gateway_in_memory import exception_in, framed, frames

Calculator: Any = CalculatorStub

RESULTS = [None, 42, ["InvalidOperation", 4], True, "größer"]
"""Those of ``stock_client.py``."""

DOORS = {
    "framed": ("binary", "compact", "json"),
    "tls": ("binary", "compact"),
    "header": ("binary", "compact"),
    "http": ("binary", "compact", "json"),
}


def message(name: str, arguments: Any, seqid: int = 1, kind: int = TMessageType.CALL) -> bytes:
    """Return a request."""
    return CODECS["binary"].encode(name, kind, seqid, arguments)


def receive(connection: socket.socket, size: int) -> bytes:
    """Return so many bytes, or those until the end. ``MSG_WAITALL`` waits for nothing on a socket with a timeout."""
    received = b""
    while len(received) < size and (data := connection.recv(size - len(received))):
        received += data
    return received


class GatewayTestCase(CallTestCase):
    """A gateway in this process, with clients in others."""

    stubs: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        """Compile stubs as other programs have them."""
        folder = Path(cls.mktemp(cls())).absolute()
        folder.mkdir(parents=True)
        thrift = shutil.which("thrift")
        assert thrift is not None
        idl = str(ROOT / "idl" / "calculator.thrift")
        subprocess.run([thrift, "-r", "--gen", "py", "-out", str(folder), idl], check=True, timeout=60)
        cls.stubs = str(folder)
        cls.addClassCleanup(shutil.rmtree, folder)

    async def start(self, url: str | None = None, services: Any = None, **options: Any) -> Gateway:
        """Start a gateway with a port for each kind of client."""
        gateway = Gateway(
            url or self.url,
            services or [self.name],
            framed=["tcp:0:interface=127.0.0.1"],
            http=["tcp:0:interface=127.0.0.1"],
            options=GatewayOptions(**options),
            reactor=reactor,
        )
        gateway.startService()
        self.addCleanup(gateway.stopService)
        await gateway.when_listening()
        return gateway

    def addresses(self, gateway: Gateway) -> dict[str, str]:
        """Return the addresses of a gateway, by door."""
        framed_port, http_port = (str(port.getHost().port) for port in gateway.ports)  # type: ignore[attr-defined]
        address = f"127.0.0.1:{framed_port}"
        return {"framed": address, "header": address, "http": f"http://127.0.0.1:{http_port}"}

    async def run_client(self, *words: str) -> Any:
        """Return the output of the stock client."""
        program = str(Path(__file__).with_name("stock_client.py"))
        output, errors, status = await getProcessOutputAndValue(
            sys.executable, [program, self.stubs, *words], {"LANG": "C.UTF-8"}, str(ROOT)
        )
        self.assertEqual((status, errors.decode()), (0, ""))
        return json.loads(output)


class StockClientTests(GatewayTestCase):
    """Thrift's own clients, unmodified."""

    timeout = 120.0

    async def test_each_way_in_and_each_protocol(self) -> None:
        """Results, exceptions of the IDL, oneway calls, large values, text."""
        await self.serve_and_call(CalculatorHandler())
        gateway = await self.start()
        addresses = self.addresses(gateway)
        for door, protocols in DOORS.items():
            for protocol in protocols if door in addresses else ():
                self.assertEqual(await self.run_client(door, protocol, addresses[door]), RESULTS, (door, protocol))

    async def test_tls(self) -> None:
        """By Twisted's endpoint string."""
        await self.serve_and_call(CalculatorHandler())
        authority = trustme.CA()
        pem = Path(self.mktemp()).absolute()
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
        endpoint = f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
        gateway = Gateway(self.url, [self.name], framed=[endpoint], reactor=reactor)
        gateway.startService()
        self.addCleanup(gateway.stopService)
        await gateway.when_listening()
        address = f"127.0.0.1:{gateway.ports[0].getHost().port}"  # type: ignore[attr-defined]
        for protocol in DOORS["tls"]:
            self.assertEqual(await self.run_client("tls", protocol, address), RESULTS)
        self.flushWarnings()  # of Twisted, about its own use of pyOpenSSL

    async def test_a_name_or_a_path_chooses_the_service(self) -> None:
        """The first service is another one, which does not exist."""
        await self.serve_and_call(CalculatorHandler())
        gateway = await self.start(services=[self.unique("Nothing"), self.name])
        addresses = self.addresses(gateway)
        for door in addresses:
            self.assertEqual(await self.run_client(door, "binary", addresses[door], self.name), RESULTS, door)
            results = await self.run_client(door, "binary", addresses[door])
            self.assertEqual(results[0][:2], ["TApplicationException", TApplicationException.INTERNAL_ERROR])
            self.assertRegex(results[0][2], "^ServiceUnavailable: ")
            unknown = await self.run_client(door, "binary", addresses[door], "Secret")
            self.assertEqual(unknown[0][:2], ["TApplicationException", TApplicationException.UNKNOWN_METHOD])
        by_path = f"{addresses['http']}/{self.name}"
        self.assertEqual(await self.run_client("http", "json", by_path), RESULTS)

    async def test_a_broker_that_is_not_there(self) -> None:
        """Each call ends at its deadline, with an exception."""
        self.name = "Calculator"
        gateway = await self.start("amqp://127.0.0.1:1", timeout=0.5)
        for door, address in self.addresses(gateway).items():
            for result in await self.run_client(door, "binary", address):
                self.assertEqual(result[:2], ["TApplicationException", TApplicationException.INTERNAL_ERROR])
                self.assertRegex(result[2], r"^CallTimedOut: .*\(not executed\)$")


class Client:
    """A client that can send any bytes. Its functions block."""

    def __init__(self, case: GatewayTestCase, gateway: Gateway, http: bool = False) -> None:
        port = gateway.ports[int(http)].getHost().port  # type: ignore[attr-defined]
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        case.addCleanup(self.socket.close)

    def send(self, data: bytes) -> Deferred[None]:
        """Send bytes. Fires when they have been taken."""
        return deferToThread(self.socket.sendall, data)

    def receive(self, end: bytes | None = None) -> Deferred[bytes]:
        """Return the bytes that come until the connection ends, or until `end`."""
        return deferToThread(self._receive, end)

    def _receive(self, end: bytes | None) -> bytes:
        received = b""
        while end is None or not received.endswith(end):
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                break
            if not data:
                break
            received += data
        return received

    def frame(self) -> Deferred[bytes]:
        """Return the message in the next frame."""
        return deferToThread(self._frame)

    def _frame(self) -> bytes:
        (length,) = struct.unpack("!I", receive(self.socket, 4))
        return receive(self.socket, length)


class HostileClientTests(GatewayTestCase):
    """The gateway outlives its clients, and keeps little for them."""

    async def test_a_client_that_never_reads_is_dropped(self) -> None:
        """It asks for 100 answers of a megabyte. The calls that its socket has no space for are not even begun."""
        await self.serve_and_call(CalculatorHandler())
        gateway = await self.start(transfer_timeout=1.0, in_flight=4)
        client = Client(self, gateway)
        client.socket.settimeout(3)
        request = framed(message("blob", Calculator.blob_args(bytes(2**20))))
        most = 0
        sending = client.send(request * 100).addErrback(lambda _: None)
        connections = gateway._connections
        while not connections.open:
            await pause(0.01)
        while connections.open:
            await pause(0.01)
            most = max(most, connections.buffered)
        await sending
        self.assertLess(most, 8 * 2**20)
        self.assertEqual(connections.buffered, 0)

    async def test_half_a_request_is_dropped(self) -> None:
        await self.serve_and_call(CalculatorHandler())
        gateway = await self.start(transfer_timeout=0.5)
        for http, begin in ((False, b"\0\0\1\0\x80"), (True, b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\na")):
            client = Client(self, gateway, http)
            await client.send(begin)
            self.assertEqual(await client.receive(), b"")

    async def test_a_client_that_leaves_cancels_its_calls(self) -> None:
        """The handler is told; the worker is free again."""
        await self.serve_and_call()
        gateway = await self.start()
        for http in (False, True):
            client = Client(self, gateway, http)
            request = message("calculate", Calculator.calculate_args(1, None))
            head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(request)
            await client.send(head + request if http else framed(request))
            await self.handler.holding(1)
            cancelled = self.handler.held.pop().addErrback(lambda failure: failure)
            began = reactor.seconds()
            client.socket.close()
            while not cancelled.called:
                await pause(0.01)
            self.assertLess(reactor.seconds() - began, 20)  # before the call's deadline

    async def test_requests_that_come_together_are_answered_in_order(self) -> None:
        """A slow call keeps the answers of later ones."""
        await self.serve_and_call()
        gateway = await self.start()
        client = Client(self, gateway)
        slow = message("calculate", Calculator.calculate_args(1, None), seqid=0)
        quick = message("add", Calculator.add_args(1, 2), seqid=0)
        await client.send(framed(slow, quick))
        await self.handler.holding(1)
        await pause(0.1)
        self.handler.release()
        names = [CODECS["binary"].read_header(await client.frame())[0] for _ in range(2)]
        self.assertEqual(names, ["calculate", "add"])

    async def test_a_request_over_the_limit_is_refused(self) -> None:
        """Framed clients may go on."""
        await self.serve_and_call()
        gateway = await self.start(max_message_size=100_000)
        client = Client(self, gateway)
        await client.send(framed(message("blob", Calculator.blob_args(bytes(500_000)), seqid=5)))
        name, seqid, kind, text = exception_in(await client.frame())
        self.assertEqual((name, seqid, kind), ("blob", 5, TApplicationException.PROTOCOL_ERROR))
        self.assertRegex(text, "^MessageTooLarge: ")
        await client.send(framed(message("ping", Calculator.ping_args())))
        self.assertEqual(CODECS["binary"].read_header(await client.frame())[0], "ping")
        web = Client(self, gateway, http=True)
        await web.send(b"POST / HTTP/1.1\r\ncontent-length: 500000\r\n\r\n")
        self.assertTrue((await web.receive()).startswith(b"HTTP/1.1 413 "))

    async def test_a_client_too_many_is_closed(self) -> None:
        await self.serve_and_call()
        gateway = await self.start(max_connections=1)
        first = Client(self, gateway)
        await first.send(framed(message("ping", Calculator.ping_args())))
        await first.frame()
        self.assertEqual(await Client(self, gateway).receive(), b"")
        await first.send(framed(message("ping", Calculator.ping_args())))
        self.assertTrue(await first.frame())


class StopTests(GatewayTestCase):
    """A gateway starts and stops."""

    async def test_finishes_the_calls_in_progress(self) -> None:
        await self.serve_and_call()
        gateway = await self.start()
        client, idle = Client(self, gateway), Client(self, gateway, http=True)
        await client.send(framed(message("calculate", Calculator.calculate_args(1, None))))
        await self.handler.holding(1)
        stopped = gateway.stopService()
        self.assertEqual(await idle.receive(), b"")
        await pause(0.1)
        self.handler.release()
        (answer,) = frames(await client.receive())
        self.assertEqual(CODECS["binary"].read_header(answer)[:2], ("calculate", TMessageType.REPLY))
        await stopped

    async def test_waits_only_so_long(self) -> None:
        await self.serve_and_call()
        gateway = await self.start(drain_timeout=0.2)
        client = Client(self, gateway)
        await client.send(framed(message("calculate", Calculator.calculate_args(1, None))))
        await self.handler.holding(1)
        cancelled = self.handler.held.pop().addErrback(lambda failure: failure)
        await gateway.stopService()
        self.assertEqual(await client.receive(), b"")
        while not cancelled.called:
            await pause(0.01)

    async def test_an_abort_ends_this_stop_alone(self) -> None:
        """Before it or during it."""
        await self.serve_and_call()
        gateway = await self.start(drain_timeout=1000.0)
        for aborts_first in (True, False):
            client = Client(self, gateway)
            await client.send(framed(message("calculate", Calculator.calculate_args(1, None))))
            await self.handler.holding(1)
            cancelled = self.handler.held.pop().addErrback(lambda failure: failure)
            if aborts_first:
                gateway.abort()
            stopped = gateway.stopService()
            if not aborts_first:
                await pause(0.1)
                self.assertFalse(stopped.called)
                gateway.abort()
            await stopped
            self.assertEqual(await client.receive(), b"")
            while not cancelled.called:
                await pause(0.01)
            gateway.startService()
            await gateway.when_listening()

    async def test_can_be_started_again(self) -> None:
        await self.serve_and_call(CalculatorHandler())
        gateway = await self.start()
        await gateway.stopService()
        gateway.startService()
        await gateway.when_listening()
        self.assertEqual(await self.run_client("framed", "binary", self.addresses(gateway)["framed"]), RESULTS)

    async def test_a_port_that_is_taken_is_told(self) -> None:
        await self.serve_and_call()
        first = await self.start()
        port = first.ports[0].getHost().port  # type: ignore[attr-defined]
        taken = f"tcp:{port}:interface=127.0.0.1"
        second = Gateway(self.url, [self.name], framed=[taken], http=["tcp:0"], reactor=reactor)
        second.startService()
        await self.assertFailure(second.when_listening(), CannotListenError)
        await second.stopService()
        del second
        gc.collect()
        self.flushWarnings()  # some versions of Twisted do not close the socket that they could not bind

    async def test_refuses_wrong_arguments(self) -> None:
        wrong: tuple[dict[str, Any], ...] = (
            {"services": []},
            {"services": "Calculator"},
            {"services": ["a:b"], "framed": ["tcp:0"]},
            {"services": ["a" * 300], "framed": ["tcp:0"]},
            {"framed": ["tcp"]},
            {"framed": ["nonsense:1"]},
            {"framed": "tcp:0"},
            {"framed": ["ssl:0:privateKey=/nowhere"]},
            {},
        )
        for arguments in wrong:
            given: dict[str, Any] = {"services": ["Calculator"], **arguments}
            self.assertRaises(rpc.ConfigurationError, Gateway, "amqp://localhost", reactor=reactor, **given)
