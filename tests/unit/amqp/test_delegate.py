"""The broker's methods on a connection, and its reasons for closing it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.fields import encode_table
from rpc.amqp.codec.spec import SHIPPED, load_definition
from rpc.amqp.delegate import Credentials, client_properties
from rpc.errors import AuthenticationFailed, ConnectionClosed, VirtualHostRefused
from tests.unit.amqp.peer import OPEN_OK, START, Peer, method, tune


class CredentialsTests(SynchronousTestCase):
    """Credentials."""

    def test_makes_sasl_responses(self) -> None:
        """PLAIN is user and password behind zeros (RFC 4616); EXTERNAL is empty."""
        self.assertEqual(Credentials("é", "p:@/").response(), b"\x00\xc3\xa9\x00p:@/")
        self.assertEqual(Credentials("u", "p", "EXTERNAL").response(), b"")

    def test_repr_leaves_the_password_out(self) -> None:
        """Printed credentials do not show the password."""
        self.assertNotIn("secret", repr(Credentials("me", "secret")))


class ReasonTests(SynchronousTestCase):
    """The broker's connection.close, in each phase."""

    def test_tells_reasons_apart_by_code_and_phase(self) -> None:
        """403 before tune is the login, 403 and 530 before open the virtual host, and later neither."""
        started, tuned, opened = [START], [START, tune()], [START, tune(), OPEN_OK]
        for fed, code, expected in (
            (started, 403, AuthenticationFailed),
            (started, 530, ConnectionClosed),
            (tuned, 530, VirtualHostRefused),
            (tuned, 403, VirtualHostRefused),
            (tuned, 541, ConnectionClosed),
            (opened, 530, ConnectionClosed),
            (opened, 403, ConnectionClosed),
        ):
            peer = Peer(vhost="mine").connect()
            peer.feed(*fed, method(0, "connection.close", code, "why", 0, 0))
            self.assertIs(type(peer.reason), expected)
            self.assertEqual(peer.reason.code, code)
            self.assertIn("why", peer.reason.text)
            if expected is VirtualHostRefused:
                self.assertIn("'mine'", peer.reason.text)


class ClientPropertiesTests(SynchronousTestCase):
    """client_properties."""

    def test_encodes_client_properties(self) -> None:
        """They are a field table with any connection name."""
        for version in SHIPPED:
            self.assertTrue(encode_table(client_properties("worker é", load_definition(version))))

    def test_names_only_capabilities_that_the_version_has(self) -> None:
        """RabbitMQ would send connection.blocked to a client of AMQP 0-8 that names it."""
        every = client_properties("worker", load_definition("0-9-1"))["capabilities"]
        self.assertEqual(client_properties("worker", load_definition("0-9"))["capabilities"], every)
        fewer = {"consumer_cancel_notify": True, "authentication_failure_close": True}
        self.assertEqual(client_properties("worker", load_definition("0-8"))["capabilities"], fewer)
