"""TLS of a broker URI: handshakes in memory with a server of the test's own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest import SkipTest
from urllib.parse import quote

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.tls import ClientTLS
from rpc.errors import BrokerUnreachable, ConfigurationError
from rpc.uri import parse

PASSWORD = "pass word"


class TLSTestCase(SynchronousTestCase):
    """Files of an authority, of an authority under it, and of a client that the second one has signed."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.root = trustme.CA()
        self.client = self.root.create_child_ca().issue_cert("guest.invalid", common_name="guest")
        self.root.cert_pem.write_to_path(self.path("ca.pem"))
        with open(self.path("cert.pem"), "wb") as file:
            file.writelines(pem.bytes() for pem in self.client.cert_chain_pems)
        self.client.private_key_pem.write_to_path(self.path("key.pem"))
        self.client.private_key_and_cert_chain_pem.write_to_path(self.path("both.pem"))
        key = load_pem_private_key(self.client.private_key_pem.bytes(), None)
        encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode()))
        Path(self.path("encrypted.pem")).write_bytes(encrypted)

    def write_key(self, name: str, key: Any) -> None:
        """Write a key into a file."""
        Path(self.path(name)).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def path(self, name: str) -> str:
        """The path of one of the files."""
        return str(self.folder / name)

    def tls(self, *parameters: str) -> ClientTLS:
        """TLS as these parameters of a URI describe it."""
        return ClientTLS(parse("amqps://broker.invalid?" + "&".join(parameters)))

    def server(self, *names: str) -> SSL.Connection:
        """A server with a certificate of the root, which asks for the client's."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        certificate = self.root.issue_cert(*names)
        certificate.configure_cert(context)
        store: Any = context.get_cert_store()
        store.add_cert(crypto.load_certificate(crypto.FILETYPE_PEM, self.root.cert_pem.bytes()))
        self.verified: list[bool] = []

        def note(*verified: Any) -> bool:
            self.verified.append(verified[-1] == 1)
            return self.verified[-1]

        context.set_verify(SSL.VERIFY_PEER, note)
        server = SSL.Connection(context, None)
        server.set_accept_state()
        return server

    def shake_hands(self, tls: ClientTLS, server: SSL.Connection, host: str = "broker.invalid") -> bool:
        """Let a client and `server` talk until both are done. Return whether the client has gone on."""
        self.handshake = tls.handshake_with(host)
        factory = TLSMemoryBIOFactory(self.handshake, True, Factory.forProtocol(Protocol))
        client, transport = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 5671)), StringTransport()
        client.makeConnection(transport)
        for _ in range(5):
            if transport.value():
                server.bio_write(transport.value())
                transport.clear()
            with contextlib.suppress(SSL.Error):  # WantReadError is one: the other end has its turn
                server.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                client.dataReceived(server.bio_read(65536))
        self.flushWarnings()  # pyOpenSSL asks for certificates in another form than Twisted has for it
        return not transport.disconnecting


def certificates_of(server: Any) -> tuple[Any, list[Any]]:
    """Return the peer's certificate, and those that came with it: the server's side leaves the peer's own out."""
    try:
        return server.get_peer_certificate(as_cryptography=True), server.get_peer_cert_chain(as_cryptography=True)
    except TypeError:  # pyOpenSSL before 24.3
        chain = [each.to_cryptography() for each in server.get_peer_cert_chain()]
        return server.get_peer_certificate().to_cryptography(), chain


class ClientCertificateTests(TLSTestCase):
    """certfile, keyfile and keyfile_password."""

    def sent_names(self, *parameters: str) -> list[str | None]:
        """The common names of the certificates that the client sends, its own first; the server must trust them."""
        server = self.server("broker.invalid")
        self.shake_hands(self.tls(*parameters), server)
        self.assertEqual(set(self.verified), {True})
        own, others = certificates_of(server)
        names = [certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME) for certificate in (own, *others)]
        return [found[0].value if found else None for found in names]

    def test_sends_the_intermediate_certificates(self) -> None:
        """A server that trusts the root alone can verify the client, with and without verification of the server."""
        own = (f"certfile={self.path('cert.pem')}", f"keyfile={self.path('key.pem')}")
        for verify in (f"cacertfile={self.path('ca.pem')}", "verify=verify_none"):
            names = self.sent_names(verify, *own)
            self.assertEqual((len(names), names[0]), (2, "guest"))

    def test_takes_key_and_certificates_from_one_file(self) -> None:
        """Without keyfile, the key is in certfile."""
        self.assertEqual(self.sent_names("verify=verify_none", f"certfile={self.path('both.pem')}")[0], "guest")

    def test_decrypts_the_key(self) -> None:
        """The password of an encrypted key comes from an environment variable or from a file."""
        Path(self.path("password")).write_text(PASSWORD + "\n")
        self.patch(os, "environ", {**os.environ, "TEST_KEY_PASSWORD": PASSWORD})
        for reference in ("env:TEST_KEY_PASSWORD", f"file:{self.path('password')}"):
            names = self.sent_names(
                "verify=verify_none",
                f"certfile={self.path('cert.pem')}",
                f"keyfile={self.path('encrypted.pem')}",
                f"keyfile_password={reference}",
            )
            self.assertEqual(names[0], "guest")

    def test_names_the_mistake_and_shows_no_password(self) -> None:
        """Each mistake is a ConfigurationError that names it, or the remedy; OpenSSL never asks at the terminal."""
        self.patch(os, "environ", {**os.environ, "TEST_WRONG": "an0ther", "TEST_RIGHT": PASSWORD})
        Path(self.path("none.pem")).write_text("no key")
        trustme.CA().issue_cert("other.invalid").private_key_pem.write_to_path(self.path("other.pem"))
        self.write_key("rsa.pem", rsa.generate_private_key(65537, 1024))  # noqa: S505  # refused
        self.write_key("exchange.pem", x25519.X25519PrivateKey.generate())
        os.mkfifo(self.path("pipe.pem"))
        for key, password, told in (
            ("encrypted.pem", None, "encrypted: add keyfile_password=env:NAME or keyfile_password=file:PATH"),
            ("encrypted.pem", "env:TEST_WRONG", "keyfile_password is not its password"),
            ("encrypted.pem", "env:TEST_ABSENT", "no environment variable TEST_ABSENT"),
            ("encrypted.pem", f"file:{self.path('absent')}", "No such file"),
            ("key.pem", "env:TEST_RIGHT", "leave keyfile_password out"),
            ("other.pem", None, f"the key in {self.path('other.pem')} does not fit"),
            ("rsa.pem", None, f"the key in {self.path('rsa.pem')} does not fit"),
            ("exchange.pem", None, "TLS has no such key"),
            ("pipe.pem", None, "is no regular file"),
            ("none.pem", None, "no PEM key"),
            ("absent.pem", None, "No such file"),
        ):
            parameters = [f"certfile={self.path('cert.pem')}", f"keyfile={self.path(key)}"]
            if password is not None:
                parameters.append(f"keyfile_password={password}")
            error = self.assertRaises(ConfigurationError, self.tls, *parameters)
            self.assertIn(told, str(error))
            for secret in (PASSWORD, "an0ther"):
                self.assertNotIn(secret, str(error))
        self.flushWarnings()


class ContextTests(TLSTestCase):
    """Keys and ciphers that OpenSSL refuses, and files that change."""

    def test_names_a_key_that_openssl_does_not_take(self) -> None:
        """Its security level refuses short keys, which are fine otherwise."""
        if SSL.OPENSSL_VERSION_NUMBER < 0x30200000:
            raise SkipTest("OpenSSL takes keys of 1024 bits before 3.2")
        key = rsa.generate_private_key(65537, 1024)  # noqa: S505  # refused
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "guest")])
        now = datetime.now(timezone.utc)
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        self.write_key("short.pem", key)
        with open(self.path("short.pem"), "ab") as file:
            file.write(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        error = self.assertRaises(ConfigurationError, self.tls, f"certfile={self.path('short.pem')}")
        self.assertIn("too small", str(error))
        self.flushWarnings()

    def test_refuses_ciphers_that_leave_none(self) -> None:
        """Also those that only TLS 1.3 has, and those without encryption or a certificate."""
        for ciphers in ("NONSENSE", "TLS_AES_128_GCM_SHA256", "aNULL", "eNULL", "-ALL", "\u00e9"):
            error = self.assertRaises(ConfigurationError, self.tls, f"ciphers={quote(ciphers)}")
            self.assertIn(f"ciphers={ciphers}: OpenSSL finds no cipher suite", str(error))
        self.assertIsInstance(self.tls("ciphers=HIGH:!SHA"), ClientTLS)

    def test_knows_when_a_file_has_changed(self) -> None:
        """Or the URI, but for the login and the hosts."""
        parameters = f"cacertfile={self.path('ca.pem')}&certfile={self.path('both.pem')}"
        uri = parse(f"amqps://broker.invalid?{parameters}")
        tls = ClientTLS(uri)
        self.assertTrue(tls.is_current(parse(f"amqps://user:password@other.invalid?{parameters}")))
        self.assertFalse(tls.is_current(parse(f"amqps://broker.invalid?{parameters}&tls_minimum=1.3")))
        for name in ("ca.pem", "both.pem"):
            tls = ClientTLS(uri)
            self.assertTrue(tls.is_current(uri))
            content = Path(self.path(name)).read_bytes()
            Path(self.path("new")).write_bytes(content)
            os.replace(self.path("new"), self.path(name))
            self.assertFalse(tls.is_current(uri), name)
        os.unlink(self.path("ca.pem"))
        self.assertFalse(ClientTLS(parse("amqps://h")).is_current(uri))
        self.flushWarnings()


class ServerNameTests(TLSTestCase):
    """The name that the client asks for (SNI), and the one it checks."""

    def check_each_way(self, check: Callable[[ClientTLS], None]) -> None:
        """Check with and without verification of the server."""
        for verify in (f"cacertfile={self.path('ca.pem')}", "verify=verify_none"):
            check(self.tls(verify))

    def test_asks_for_the_host(self) -> None:
        """A host name is sent, in its ASCII form."""

        def check(tls: ClientTLS) -> None:
            server = self.server("xn--bcher-kva.invalid")
            self.shake_hands(tls, server, "bücher.invalid")
            self.assertEqual(server.get_servername(), b"xn--bcher-kva.invalid")

        self.check_each_way(check)

    def test_asks_for_no_address(self) -> None:
        """An address is not sent (RFC 6066, section 3)."""

        def check(tls: ClientTLS) -> None:
            for address in ("192.0.2.1", "2001:db8::1"):
                server = self.server(address)
                self.shake_hands(tls, server, address)
                self.assertIsNone(server.get_servername())

        self.check_each_way(check)

    def test_refuses_a_name_that_no_certificate_can_have(self) -> None:
        """A name that IDNA cannot encode fails the attempt, with the name and the cause."""

        def check(tls: ClientTLS) -> None:
            for name in ("a" * 70 + ".invalid", "a..invalid"):
                error = self.assertRaises(BrokerUnreachable, tls.handshake_with, name)
                self.assertIn(name, str(error))
                self.assertIn("label", str(error))

        self.check_each_way(check)

    def test_checks_the_name(self) -> None:
        """A certificate for another name is refused, unless nothing is to be verified."""
        for verify, trusted in ((f"cacertfile={self.path('ca.pem')}", False), ("verify=verify_none", True)):
            tls, server = self.tls(verify), self.server("other.invalid")
            self.assertEqual(self.shake_hands(tls, server), trusted)

    def test_explains_why_a_server_is_not_trusted(self) -> None:
        """The problem names the cause that OpenSSL's error leaves out."""
        tls = self.tls()
        self.shake_hands(tls, self.server("broker.invalid"))
        self.assertEqual(self.handshake.problem, "self-signed certificate in certificate chain")
        trusting = self.tls(f"cacertfile={self.path('ca.pem')}")
        self.shake_hands(trusting, self.server("broker.invalid"))
        self.assertIsNone(self.handshake.problem)
