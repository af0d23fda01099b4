"""Servers with TLS that must not get a login: real handshakes, with a server that notes every byte after one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any

import trustme
from cryptography.x509 import DNSName, IPAddress, RFC822Name
from OpenSSL import SSL
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from rpc.amqp.endpoint import BrokerEndpoint
from rpc.errors import BrokerUnreachable
from rpc.uri import parse
from tests.certificates import Names, issue

LOCALHOST = (DNSName("localhost"), IPAddress(ip_address("127.0.0.1")))
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


class Server(ssl.ContextFactory):
    """A server's TLS: a key and its certificate, and settings of the context."""

    def __init__(self, pem: Path, settings: Mapping[str, Any]) -> None:
        self._pem = str(pem)
        self._settings = settings

    def getContext(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate_chain_file(self._pem)
        context.use_privatekey_file(self._pem)
        context.set_tlsext_servername_callback(lambda connection: None)
        for name, value in self._settings.items():
            getattr(context, name)(value)
        return context


@implementer(IHandshakeListener)
class Noting(Protocol):
    """Notes the bytes that come after a handshake, the version of TLS and the cipher; closes at the first byte."""

    def __init__(self, case: TLSRefusalTestCase) -> None:
        self._case = case

    def handshakeCompleted(self) -> None:
        transport: Any = self.transport
        session = transport.getHandle()
        self._case.shaken.append((session.get_protocol_version_name(), session.get_cipher_name()))

    def dataReceived(self, data: bytes) -> None:
        self._case.received.append(data)
        transport: Any = self.transport
        transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._case.lost.callback(None)


class TLSRefusalTestCase(TestCase):
    """A server on the loopback interface, whose authority the client trusts.

    :ivar received: the bytes that came after handshakes.
    :ivar shaken: version and cipher of the handshakes that were completed at the server.
    """

    timeout = 60.0

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        self.received: list[bytes] = []
        self.shaken: list[tuple[str, str | None]] = []
        self.lost: Deferred[None] = Deferred()

    async def error_of(
        self,
        pem: bytes,
        parameters: Sequence[str] = (),
        host: str = "localhost",
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """The error of a connection to a server with this key and certificate, when the server is done with it."""
        (self.folder / "server.pem").write_bytes(pem)
        listening: Any = reactor
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions of TLS, for the server
            server = Server(self.folder / "server.pem", settings)
            port = listening.listenSSL(0, Factory.forProtocol(lambda: Noting(self)), server, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.received.clear()
        self.lost = Deferred()
        words = "&".join((f"cacertfile={self.folder / 'ca.pem'}", *parameters))
        uri = parse(f"amqps://user:secret@{host}:{port.getHost().port}?{words}")
        endpoint = BrokerEndpoint(reactor, uri, lambda: "a test", lambda _: None)
        connecting: Deferred[Any] = ensureDeferred(endpoint.connect(Factory.forProtocol(Protocol)))
        error = await self.assertFailure(connecting, BrokerUnreachable)
        await self.lost
        return str(error)


class ServerNameTests(TLSRefusalTestCase):
    """A certificate of a trusted authority for another server, or for none."""

    async def refused(self, names: Names | None, *parameters: str, host: str = "localhost") -> str:
        """The error for a certificate with these names. The server has not got one byte."""
        error = await self.error_of(issue(self.authority, names), parameters, host)
        self.assertEqual(self.received, [], error)
        self.assertIn("certificate verify failed", error)
        self.assertNotIn("secret", error)
        return error

    async def test_sends_nothing_to_a_server_whose_certificate_names_no_host(self) -> None:
        """Twisted 26.10 logs it and goes on; the password was sent."""
        for host in ("localhost", "127.0.0.1"):
            self.assertIn("no subjectAltName", await self.refused(None, host=host))
            names = [RFC822Name("a@localhost")]
            self.assertIn("neither a host nor an address", await self.refused(names, host=host))

    async def test_sends_nothing_to_a_server_with_another_name(self) -> None:
        names = [DNSName("other.invalid")]
        self.assertIn("names 'other.invalid', not 'localhost'", await self.refused(names))
        self.assertIn("not the address 127.0.0.1", await self.refused(names, host="127.0.0.1"))
        self.assertIn("not the address 127.0.0.1", await self.refused([DNSName("localhost")], host="127.0.0.1"))

    async def test_sends_nothing_when_a_name_cannot_be_used(self) -> None:
        """Twisted 26.10 goes on after every exception but one."""
        self.assertIn("'*.org'", await self.refused([DNSName("*.org")]))

    async def test_checks_the_name_that_the_url_asks_for(self) -> None:
        """server_name_indication stands for the host, also with a wildcard."""
        asked = "server_name_indication=broker.example.org"
        self.assertIn("not 'broker.example.org'", await self.refused(LOCALHOST, asked))
        self.assertIn("exactly one label", await self.refused([DNSName("*.org.example.org")], asked))
        await self.error_of(issue(self.authority, [DNSName("*.example.org")]), [asked])
        self.assertEqual(self.received, [PROTOCOL_HEADER])

    async def test_sends_nothing_to_a_server_of_another_authority(self) -> None:
        error = await self.error_of(issue(trustme.CA(), LOCALHOST))
        self.assertEqual(self.received, [])
        self.assertIn("certificate verify failed: unable to get local issuer certificate", error)

    async def test_begins_the_login_with_the_right_server(self) -> None:
        """So a refusal in this file's other tests is one of the certificate."""
        for host in ("localhost", "127.0.0.1"):
            await self.error_of(issue(self.authority, LOCALHOST), host=host)
            self.assertEqual(self.received, [PROTOCOL_HEADER])


class VersionTests(TLSRefusalTestCase):
    """tls_minimum and ciphers."""

    async def test_refuses_versions_below_the_minimum(self) -> None:
        """TLS 1.2 is the least that can be chosen."""
        pem = issue(self.authority, LOCALHOST)
        old = b"ALL:@SECLEVEL=0"
        for most, parameters, version in (
            (SSL.TLS1_1_VERSION, (), None),
            (SSL.TLS1_2_VERSION, (), "TLSv1.2"),
            (SSL.TLS1_2_VERSION, ("tls_minimum=1.3",), None),
            (SSL.TLS1_3_VERSION, ("tls_minimum=1.3",), "TLSv1.3"),
        ):
            self.shaken.clear()
            settings = {"set_max_proto_version": most, "set_cipher_list": old}
            error = await self.error_of(pem, parameters, settings=settings)
            self.assertEqual([version for version, _ in self.shaken], [version] if version else [], error)
            self.assertEqual(self.received, [PROTOCOL_HEADER] if version else [])

    async def test_offers_the_chosen_ciphers_alone(self) -> None:
        pem = issue(self.authority, LOCALHOST)
        for cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"):
            self.shaken.clear()
            await self.error_of(pem, (f"ciphers={cipher}",), settings={"set_max_proto_version": SSL.TLS1_2_VERSION})
            self.assertEqual(self.shaken, [("TLSv1.2", cipher)])
        self.received.clear()
        settings = {"set_max_proto_version": SSL.TLS1_2_VERSION, "set_cipher_list": b"ECDHE-ECDSA-AES256-GCM-SHA384"}
        await self.error_of(pem, ("ciphers=ECDHE-ECDSA-AES128-GCM-SHA256",), settings=settings)
        self.assertEqual(self.received, [])

    async def test_shakes_no_hands_without_a_certificate(self) -> None:
        """With a suite that has none, OpenSSL would verify nothing."""
        pem = issue(self.authority, LOCALHOST)
        settings = {"set_max_proto_version": SSL.TLS1_2_VERSION, "set_cipher_list": b"aNULL:@SECLEVEL=0"}
        await self.error_of(pem, ("ciphers=ALL:aNULL:%40SECLEVEL=0",), settings=settings)
        self.assertEqual((self.shaken, self.received), ([], []))
