"""Which certificates name a server, and the words for those that do not."""

from __future__ import annotations

from ipaddress import ip_address

import trustme
from cryptography import x509
from cryptography.x509 import DNSName, IPAddress, RFC822Name, UniformResourceIdentifier
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.server_name import ServerName
from rpc.errors import BrokerUnreachable
from tests.certificates import Names, issue, malformed_names

AUTHORITY = trustme.CA()


def certificate(names: Names | None, extension: x509.ExtensionType | None = None) -> x509.Certificate:
    """A certificate with these names."""
    return x509.load_pem_x509_certificate(issue(AUTHORITY, names, extension))


def address(text: str) -> IPAddress:
    """An iPAddress."""
    return IPAddress(ip_address(text))


class ServerNameTests(SynchronousTestCase):
    """ServerName.problem_with."""

    def problem(self, host: str, names: Names | None) -> str | None:
        """Why a certificate with these names is not one of `host`."""
        return ServerName.of(host).problem_with(certificate(names))

    def test_takes_a_certificate_that_names_the_server(self) -> None:
        """Names without regard to case, one label for a *, and addresses as iPAddress (RFC 9525, section 6)."""
        for host, name in (
            ("broker.example.org", DNSName("broker.example.org")),
            ("BROKER.example.org", DNSName("broker.EXAMPLE.org")),
            ("broker.example.org.", DNSName("broker.example.org")),
            ("broker.example.org", DNSName("*.example.org")),
            ("my_broker", DNSName("my_broker")),
            ("localhost", DNSName("localhost")),
            ("bücher.example.org", DNSName("xn--bcher-kva.example.org")),
            ("192.0.2.1", address("192.0.2.1")),
            ("2001:db8::1", address("2001:db8::1")),
            ("2001:DB8:0::1", address("2001:db8::1")),
            ("fe80::1%eth0", address("fe80::1")),
        ):
            self.assertIsNone(self.problem(host, [name]), host)
            self.assertIsNone(self.problem(host, [DNSName("other.invalid"), name]), host)

    def test_says_why_a_certificate_is_not_the_servers(self) -> None:
        for host, names, told in (
            ("localhost", None, "has no subjectAltName, so it names no host: its common name does not count"),
            ("192.0.2.1", None, "has no subjectAltName"),
            ("localhost", [RFC822Name("a@localhost")], "names neither a host nor an address"),
            ("localhost", [UniformResourceIdentifier("amqps://localhost")], "names neither a host nor an address"),
            ("localhost", [], "names neither a host nor an address"),
            ("localhost", [DNSName("other.invalid")], "names 'other.invalid', not 'localhost'"),
            ("localhost", [address("127.0.0.1")], "names '127.0.0.1', not 'localhost'"),
            (
                "a.example.org",
                [DNSName("b.example.org"), DNSName("c")],
                "names 'b.example.org', 'c', not 'a.example.org'",
            ),
            ("a.b.example.org", [DNSName("*.example.org")], "a * stands for exactly one label"),
            ("example.org", [DNSName("*.example.org")], "a * stands for exactly one label"),
            ("127.0.0.1", [DNSName("localhost")], "not the address 127.0.0.1: give its name in the URL"),
            ("127.0.0.1", [DNSName("127.0.0.1")], "cannot be used: \"Invalid DNS pattern b'127.0.0.1'"),
            ("127.0.0.1", [address("127.0.0.2")], "names '127.0.0.2', not the address 127.0.0.1"),
            ("::1", [address("127.0.0.1")], "not the address ::1"),
            ("broker.org", [DNSName("*.org")], "cannot be used: \"Certificate's DNS-ID b'*.org'"),
            ("broker.org", [DNSName("*")], "cannot be used"),
            ("broker.example.org", [DNSName("broker.*.org")], "cannot be used"),
            ("broker.example.org", [DNSName("b*.example.org")], "names 'b*.example.org', not 'broker.example.org'"),
        ):
            problem = self.problem(host, names)
            assert problem is not None, (host, names)
            self.assertIn(told, problem)

    def test_refuses_names_that_are_not_der(self) -> None:
        problem = ServerName.of("localhost").problem_with(certificate(None, malformed_names()))
        assert problem is not None
        self.assertIn("cannot be used", problem)

    def test_quotes_few_and_harmless_characters_of_a_peer(self) -> None:
        """A certificate may hold any characters, and thousands of names."""
        names = [DNSName._init_without_validation(f"\x1b[31m{number}\n" + "x" * 1000) for number in range(1000)]
        problem = self.problem("localhost", names)
        assert problem is not None
        self.assertTrue(problem.isprintable() and problem.isascii(), problem)
        self.assertLess(len(problem), 1000)

    def test_refuses_a_name_that_no_certificate_can_have(self) -> None:
        for name in ("a" * 70 + ".invalid", "a..invalid", "\u00fc" * 70, "\u00fc..invalid", "", "a b", "a/b"):
            error = self.assertRaises(BrokerUnreachable, ServerName.of, name)
            self.assertIn("not a host name that a certificate can have", str(error))
