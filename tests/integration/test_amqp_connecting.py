"""Connecting to a real broker, and the errors that name each obstacle: logins, virtual hosts, hosts, TLS, alarms."""

from __future__ import annotations

import contextlib
import socket
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
import trustme
from OpenSSL import SSL
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, DeferredQueue, ensureDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.protocols.portforward import ProxyFactory

from rpc.amqp.congestion import socket_of
from rpc.amqp.endpoint import BrokerEndpoint
from rpc.amqp.protocol import AMQPConnection
from rpc.amqp.tcp_keepalive import IDLE_SECONDS
from rpc.errors import (
    AMQPError,
    AuthenticationFailed,
    BrokerUnreachable,
    ConnectionClosed,
    FrameError,
    HeartbeatMissed,
    VirtualHostRefused,
)
from rpc.uri import parse
from tests.integration.amqp_case import AMQPTestCase, later
from tools.nodes.rabbitmq import RabbitMQNode, free_ports


class Expired(ssl.ContextFactory):
    """A server's TLS with the key and certificate of a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def getContext(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate_chain_file(self._path)
        context.use_privatekey_file(self._path)
        return context


class Web(Protocol):
    """Answers any bytes as a web server answers nonsense."""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        transport.loseConnection()


def keeps_alive(connection: AMQPConnection) -> bool:
    """Return whether the socket of a connection has TCP keepalive, with our times."""
    below = socket_of(connection.transport)
    assert below is not None
    idle = below.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    return below.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1 and idle == IDLE_SECONDS


class ConnectingTestCase(AMQPTestCase):
    """Attempts that fail, with their errors."""

    async def refused(self, uri: str, kind: type[AMQPError], *told: str) -> AMQPError:
        """Connecting to the URI fails with this error and these words, and shows no password."""
        connecting: Deferred[Any] = ensureDeferred(self.connect(uri))
        error: AMQPError = await self.assertFailure(connecting, AMQPError)
        self.assertIs(type(error), kind, error)
        for words in told:
            self.assertIn(words, str(error))
        self.assertNotIn("secret", str(error))
        return error

    async def listen(self, factory: Any, ipv6: bool = False) -> int:
        """The port on which `factory` serves the loopback interface until the test ends."""
        endpoint: Any = TCP6ServerEndpoint(reactor, 0, interface="::1") if ipv6 else TCP4ServerEndpoint(reactor, 0)
        port = await endpoint.listen(factory)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number


class LoginTests(ConnectingTestCase):
    """Users and virtual hosts."""

    async def test_fails_with_a_wrong_password(self) -> None:
        """AuthenticationFailed, with host and user (txAMQP: connection lost)."""
        uri = f"amqp://guest:secret@127.0.0.1:{self.broker.port}"
        await self.refused(uri, AuthenticationFailed, "403", f"127.0.0.1:{self.broker.port}", "'guest'")

    async def test_fails_for_an_unknown_virtual_host(self) -> None:
        """VirtualHostRefused, with its name."""
        await self.refused(f"{self.url}/no%2Fsuch", VirtualHostRefused, "530", "'no/such'")

    @pytest.mark.rabbitmq_only("the embedded broker has no permissions: each virtual host is open to every user")
    async def test_fails_for_a_virtual_host_of_others(self) -> None:
        """A user without permission gets VirtualHostRefused as well."""
        vhost, user = self.unique("theirs"), self.unique("they")
        await deferToThread(self.broker.add_virtual_host, vhost)
        await deferToThread(self.broker.add_user, user, "secret", vhost)
        uri = f"amqp://{user}:secret@127.0.0.1:{self.broker.port}"
        self.assertTrue(await self.connect(f"{uri}/{vhost}"))
        await self.refused(f"{uri}/%2F", VirtualHostRefused, "530", "'/'")

    async def test_login_may_hold_any_letters(self) -> None:
        """User, password and virtual host may hold any letters, percent-encoded (txAMQP does not decode)."""
        user, password, vhost = self.unique("é/@:%"), "pä:ss/@#?%&", self.unique("v/é%")
        await deferToThread(self.broker.add_virtual_host, vhost)
        await deferToThread(self.broker.add_user, user, password, vhost)
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        uri = f"amqp://{login}@127.0.0.1:{self.broker.port}/{quote(vhost, safe='')}"
        self.assertTrue(await (await self.connect(uri)).open_channel())

    async def test_fails_by_external_without_a_certificate(self) -> None:
        """EXTERNAL without a certificate is a refused login."""
        uri = f"{self.url}?auth_mechanism=external"
        await self.refused(uri, AuthenticationFailed)


class HostTests(ConnectingTestCase):
    """Hosts and ports."""

    async def test_fails_without_a_listener(self) -> None:
        """BrokerUnreachable, with host and port."""
        (port,) = free_ports(1)
        await self.refused(f"amqp://me:secret@127.0.0.1:{port}", BrokerUnreachable, f"127.0.0.1:{port}", "refused")

    async def test_fails_for_a_name_that_does_not_resolve(self) -> None:
        """BrokerUnreachable, with the name."""
        await self.refused("amqp://no-such-host.invalid", BrokerUnreachable, "no-such-host.invalid:5672")

    async def test_names_a_server_that_does_not_speak_amqp(self) -> None:
        """The error of a web server's port shows its answer."""
        port = await self.listen(Factory.forProtocol(Web))
        await self.refused(f"amqp://127.0.0.1:{port}", FrameError, f"127.0.0.1:{port}", "not an AMQP broker", "HTTP")
        await self.refused(f"amqps://127.0.0.1:{port}", BrokerUnreachable, f"127.0.0.1:{port}", "does not speak TLS")

    async def test_gives_up_a_silent_port(self) -> None:
        """The connection timeout ends the attempt."""
        port = await self.listen(Factory.forProtocol(Protocol))
        for scheme in ("amqp", "amqps"):
            uri = f"{scheme}://127.0.0.1:{port}?connection_timeout=200"
            await self.refused(uri, BrokerUnreachable, "no answer within 0.2 s")

    async def test_tries_the_next_host(self) -> None:
        """The next attempt goes to the next host."""
        (dead,) = free_ports(1)
        uri = parse(f"amqp://127.0.0.1:{dead},127.0.0.1:{self.broker.port}")
        endpoint = BrokerEndpoint(reactor, uri, self.id, lambda error: None)
        await self.assertFailure(endpoint.connect(Factory.forProtocol(Protocol)), BrokerUnreachable)
        protocol: Any = await endpoint.connect(Factory.forProtocol(Protocol))
        await protocol.transport.close()

    async def test_connects_to_an_ipv6_address(self) -> None:
        """An IPv6 address is in brackets."""
        with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
            try:
                probe.bind(("::1", 0))
            except OSError:
                self.skipTest("this machine has no IPv6 loopback address")
        port = await self.listen(ProxyFactory("127.0.0.1", self.broker.port), ipv6=True)
        self.assertTrue(await self.connect(f"amqp://[::1]:{port}"))

    async def test_notices_a_silent_broker(self) -> None:
        """Missing heartbeats end the connection (a proxy that stops forwarding; heartbeat 1 s)."""
        proxies: list[Any] = []

        class Recorded(ProxyFactory):
            def buildProtocol(self, addr: Any) -> Any:
                proxies.append(super().buildProtocol(addr))
                return proxies[-1]

        port = await self.listen(Recorded("127.0.0.1", self.broker.port))
        connection = await self.connect(f"amqp://127.0.0.1:{port}?heartbeat=1")
        await later(2.2)
        self.assertFalse(connection.closed)  # heartbeats have come both ways
        proxies[0].peer.transport.pauseProducing()
        ended: Deferred[None] = Deferred()
        connection.ended.addCallback(ended.callback)
        await ended
        self.assertIsInstance(connection.reason, HeartbeatMissed)

    async def test_the_kernel_notices_a_dead_broker_when_there_are_no_heartbeats(self) -> None:
        connection = await self.connect(f"{self.url}?heartbeat=0")
        self.assertTrue(keeps_alive(connection))

    async def test_tells_that_the_broker_does_not_read(self) -> None:
        """The connection is blocked while a proxy does not read, and open again when all has arrived."""
        proxies: list[Any] = []

        class Recorded(ProxyFactory):
            def buildProtocol(self, addr: Any) -> Any:
                proxies.append(super().buildProtocol(addr))
                return proxies[-1]

        port = await self.listen(Recorded("127.0.0.1", self.broker.port))
        connection = await self.connect(f"amqp://127.0.0.1:{port}?send_buffer_max=1000000")
        channel = await connection.open_channel()
        queue = await self.queue(channel)
        told: DeferredQueue[str | None] = DeferredQueue()
        connection.on_blocked = told.put
        proxies[0].transport.pauseProducing()
        sent = 0
        while connection.blocked is None:
            channel.publish("", queue, b"\x00\x00", b"x" * 100_000)
            sent += 1
            self.assertLess(sent, 500)
            await later(0)
        self.assertIn("bytes are unsent", await told.get() or "")
        proxies[0].transport.resumeProducing()
        self.assertIsNone(await told.get())
        self.assertEqual((await channel.queue_purge(queue=queue)).message_count, sent)


@pytest.mark.rabbitmq_only("the embedded broker listens without TLS, and so has no mechanism EXTERNAL")
class TLSTests(ConnectingTestCase):
    """amqps://: certificate and host name are checked by default."""

    broker: ClassVar[RabbitMQNode]

    def url_of(self, *parameters: str, host: str = "localhost", scheme: str = "amqps") -> str:
        """The URI of the broker's TLS listener."""
        return f"{scheme}://guest:guest@{host}:{self.broker.tls_port}?{'&'.join(parameters)}"

    def trusted(self) -> str:
        """The parameter that trusts the broker's authority."""
        return f"cacertfile={self.broker.ca_file}"

    async def test_trusts_the_right_authority(self) -> None:
        """By name and by address, with bodies of many frames."""
        for host in ("localhost", "127.0.0.1"):
            channel = await self.channel(self.url_of(self.trusted(), host=host))
            queue = await self.queue(channel)
            arrived = await self.consume(channel, queue)
            channel.publish("", queue, b"\x00\x00", b"\xff" * 1_000_000)
            self.assertEqual(len((await arrived.get()).body), 1_000_000)

    async def test_keeps_a_connection_with_tls_alive(self) -> None:
        connection = await self.connect(self.url_of(self.trusted()))
        self.assertTrue(keeps_alive(connection))

    async def test_does_not_trust_another_authority(self) -> None:
        """The system's authorities, or another one, do not vouch for the broker: refused."""
        other = self.mktemp()
        trustme.CA().cert_pem.write_to_path(other)
        for parameters in ((), (f"cacertfile={other}",)):
            uri = self.url_of(*parameters)
            await self.refused(uri, BrokerUnreachable, "localhost", "certificate verify failed")

    async def test_names_an_expired_certificate(self) -> None:
        """The error says that the certificate has expired."""
        authority, folder = trustme.CA(), Path(self.mktemp())
        folder.mkdir()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        yesterday = datetime.now(timezone.utc) - timedelta(days=1)
        issued = authority.issue_cert("localhost", not_after=yesterday)
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        expired = Expired(str(folder / "server.pem"))
        listening: Any = reactor
        port = listening.listenSSL(0, Factory.forProtocol(Protocol), expired, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        uri = f"amqps://localhost:{port.getHost().port}?cacertfile={folder / 'ca.pem'}"
        await self.refused(uri, BrokerUnreachable, "certificate has expired")

    async def test_refuses_a_certificate_for_another_name(self) -> None:
        """A certificate for another name is refused."""
        uri = self.url_of(self.trusted(), "server_name_indication=other.invalid")
        await self.refused(uri, BrokerUnreachable, "other.invalid")

    async def test_verifies_nothing_on_request(self) -> None:
        """verify_none takes any certificate."""
        self.assertTrue(await self.connect(self.url_of("verify=verify_none")))

    async def test_logs_in_by_certificate(self) -> None:
        """With EXTERNAL the client's certificate names the user."""
        certificate = f"certfile={self.broker.client_certificate}"
        for verify in (self.trusted(), "verify=verify_none"):
            self.assertTrue(await self.connect(self.url_of(verify, certificate, "auth_mechanism=external")))
        self.flushWarnings()  # Twisted hands a client's certificate to pyOpenSSL in a form that is going away

    async def test_names_the_remedy_for_a_tls_port(self) -> None:
        """A plain connection to it fails at once, and the message names the scheme."""
        await self.refused(
            self.url_of(scheme="amqp"), FrameError, "wants TLS on this port: write amqps instead of amqp"
        )

    async def test_fails_over_tls_to_the_plain_port(self) -> None:
        """It fails at once, and the error names the scheme and the usual port."""
        uri = f"amqps://guest:guest@127.0.0.1:{self.broker.port}?{self.trusted()}"
        await self.refused(uri, BrokerUnreachable, f"127.0.0.1:{self.broker.port} (TLS)", "write amqp instead", "5671")


class AlarmTests(ConnectingTestCase):
    """A broker under alarm, and one that closes connections."""

    own_broker = True

    async def test_tells_a_memory_alarm_and_its_end(self) -> None:
        """A connection that publishes during the alarm is blocked, and open again afterwards."""
        connection = await self.connect()
        told: list[str | None] = []
        changed: list[Deferred[None]] = [Deferred(), Deferred()]

        def note(reason: str | None) -> None:
            told.append(reason)
            changed[len(told) - 1].callback(None)

        connection.on_blocked = note
        channel = await connection.open_channel()
        await deferToThread(self.broker.set_memory_alarm, True)
        try:
            while connection.blocked is None:  # RabbitMQ tells each connection of the alarm, perhaps after a publish
                channel.publish("", "nowhere", b"\x00\x00", b"x")
                await later(0.1)
            await changed[0]
            self.assertEqual(connection.blocked, told[0])
            self.assertIn("memory", told[0] or "")
        finally:
            await deferToThread(self.broker.set_memory_alarm, False)
        await changed[1]
        self.assertIsNone(connection.blocked)
        self.assertTrue(await self.queue(channel))

    async def test_hands_on_the_operators_words(self) -> None:
        """They reach the owner of each channel."""
        connection = await self.connect()
        channel = await connection.open_channel()
        told: Deferred[Exception] = Deferred()
        channel.on_closed = told.callback
        await deferToThread(self.broker.close_connections, "maintenance")
        error = await told
        assert isinstance(error, ConnectionClosed)
        self.assertEqual(error.code, 320)
        self.assertIn("maintenance", error.text)
