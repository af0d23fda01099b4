"""From a URI to an open connection: hosts in turn, causes by name, and nothing left of failed attempts."""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.endpoint import BrokerEndpoint, new_connection
from rpc.amqp.protocol import AMQPConnection
from rpc.errors import (
    AMQPError,
    AuthenticationFailed,
    BrokerUnreachable,
    ConfigurationError,
    ConnectionClosed,
    FrameError,
    VirtualHostRefused,
)
from rpc.uri import parse
from tests.unit.amqp.memory_reactor import Addresses, BrokerReactor
from tests.unit.amqp.peer import START, method, outcome_of, tune


class Session(Protocol):
    """The protocol that gets an open connection."""

    reason: Any = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason.value


class BrokerEndpointTests(SynchronousTestCase):
    """BrokerEndpoint, on a reactor in memory."""

    def setUp(self) -> None:
        self.reactor = BrokerReactor()
        self.failures: list[AMQPError] = []

    def test_its_text_names_the_hosts_and_no_password(self) -> None:
        """Twisted's ClientService logs the endpoint before each retry."""
        endpoint = self.endpoint("amqp://ann:secret@one:5672,two:5673/here")
        self.assertEqual(f"{endpoint}", "amqp://ann:***@one:5672,two:5673/here")

    def endpoint(self, uri: str) -> BrokerEndpoint:
        """An endpoint for the URI."""
        return BrokerEndpoint(self.reactor, parse(uri), lambda: "tests", self.failures.append)

    def connect(self, uri: str = "amqp://me:secret@192.0.2.1/mine") -> list[Any]:
        """Begin to connect; the list gets the outcome."""
        return outcome_of(self.endpoint(uri).connect(Factory.forProtocol(Session)))

    def check_failed(self, outcome: list[Any], kind: type[AMQPError], *told: str) -> None:
        """Check that the attempt failed with this error, which the link's owner was told as well."""
        (error,) = outcome
        self.assertIs(type(error), kind, error)
        self.assertEqual(self.failures, [error])
        for words in told:
            self.assertIn(words, str(error))
        self.assertNotIn("secret", str(error))

    def test_gives_an_open_connection(self) -> None:
        """The protocol gets it as its transport. No timer runs but the heartbeat's."""
        outcome = self.connect("amqp://192.0.2.1?heartbeat=0")
        socket = self.reactor.socket()
        self.assertEqual(socket.where, ("192.0.2.1", 5672))
        socket.log_in()
        (session,) = outcome
        self.assertIsInstance(session.transport, AMQPConnection)
        self.assertEqual((self.failures, self.reactor.timers()), ([], []))
        session.transport.loseConnection()
        self.assertEqual(socket.serve()[-1], "connection.close")
        socket.lose()
        self.assertEqual((session.reason.code, self.reactor.timers()), (200, []))

    def test_writes_nothing_to_the_log(self) -> None:
        """Connecting and closing are logged by the link alone."""
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        outcome = self.connect("amqp://192.0.2.1?heartbeat=0")
        socket = self.reactor.socket().log_in()
        outcome[0].transport.loseConnection()
        socket.serve()
        socket.lose()
        self.assertEqual(events, [])

    def test_tries_the_hosts_in_turn(self) -> None:
        """Each attempt goes to the next host, and after the last to the first."""
        endpoint = self.endpoint("amqp://192.0.2.1,192.0.2.2:5673,[2001:db8::1]")
        tried = []
        for _ in range(4):
            failed = outcome_of(endpoint.connect(Factory.forProtocol(Session)))
            socket = self.reactor.socket()
            tried.append(socket.where)
            socket.refuse()
            self.assertIsInstance(failed[0], BrokerUnreachable)
            self.assertEqual("[2001:db8::1]:5672" in str(failed[0]), ":" in socket.where[0], failed)
        hosts = [("192.0.2.1", 5672), ("192.0.2.2", 5673), ("2001:db8::1", 5672), ("192.0.2.1", 5672)]
        self.assertEqual(tried, hosts)
        self.assertEqual(len(self.failures), 4)

    def test_can_be_cancelled_by_the_owner_that_is_told_of_a_failure(self) -> None:
        """A callback of a call that fails then may stop the link."""
        attempts: list[Any] = []
        uri = parse("amqp://192.0.2.1")
        endpoint = BrokerEndpoint(self.reactor, uri, lambda: "tests", lambda _: attempts[0].cancel())
        attempts.append(endpoint.connect(Factory.forProtocol(Session)))
        outcomes = outcome_of(attempts[0])
        self.reactor.socket().refuse()
        self.assertEqual([type(each) for each in outcomes], [CancelledError])
        gc.collect()  # an error that no Deferred handles is logged when the Deferred is collected
        self.assertEqual((self.flushLoggedErrors(), self.reactor.timers()), ([], []))

    def test_names_the_host_that_refuses(self) -> None:
        """Without a listener it is BrokerUnreachable with host and port, and the reason once."""
        outcome = self.connect()
        self.reactor.socket().refuse()
        self.assertEqual(str(outcome[0]), "192.0.2.1:5672: Connection refused")
        self.check_failed(outcome, BrokerUnreachable, "192.0.2.1:5672", "refused")
        self.assertEqual(self.reactor.timers(), [])

    def test_gives_up_a_silent_broker(self) -> None:
        """A broker that sends nothing, or stops within the handshake, has the connection timeout."""
        for fed in ([], [START], [START, tune()]):
            self.setUp()
            outcome = self.connect("amqp://192.0.2.1?connection_timeout=3000")
            socket = self.reactor.socket().accept()
            socket.feed(*fed)
            self.reactor.advance(2.9)
            self.assertEqual(outcome, [])
            self.reactor.advance(0.2)
            self.check_failed(outcome, BrokerUnreachable, "192.0.2.1:5672", "within 3 s")
            self.assertTrue(socket.transport.disconnected)
            socket.lose()
            self.assertEqual(self.reactor.timers(), [])

    def test_gives_up_a_silent_host(self) -> None:
        """The timeout holds for the TCP connection as well."""
        outcome = self.connect("amqp://192.0.2.1?connection_timeout=3000")
        self.reactor.advance(3.1)
        self.check_failed(outcome, BrokerUnreachable, "within 3 s")

    def test_keeps_class_and_code_of_a_refusal(self) -> None:
        """Refused logins and virtual hosts keep their class and code, and the host is named."""
        close = method(0, "connection.close", 403, "ACCESS_REFUSED", 0, 0)
        outcome = self.connect()
        self.reactor.socket().accept().feed(START, close)
        self.check_failed(outcome, AuthenticationFailed, "403", "192.0.2.1:5672", "'me'")
        self.setUp()
        outcome = self.connect()
        close = method(0, "connection.close", 530, "NOT_ALLOWED", 10, 40)
        self.reactor.socket().accept().feed(START, tune(), close)
        self.check_failed(outcome, VirtualHostRefused, "530", "192.0.2.1:5672", "'mine'")

    def test_names_a_server_that_does_not_speak_amqp(self) -> None:
        """The error shows its answer."""
        outcome = self.connect()
        self.reactor.socket().accept().feed(b"SSH-2.0-OpenSSH\r\n")
        self.check_failed(outcome, FrameError, "192.0.2.1:5672", "SSH-2.0")

    def test_counts_an_early_end_as_unreachable(self) -> None:
        """A connection that ends within the handshake is BrokerUnreachable."""
        outcome = self.connect()
        socket = self.reactor.socket().accept()
        socket.feed(START)
        socket.lose()
        self.check_failed(outcome, BrokerUnreachable, "192.0.2.1:5672", "before the handshake was over")

    def test_cancels_in_every_phase(self) -> None:
        """Cancelling gives CancelledError, and leaves neither socket nor timer."""
        for phase in range(3):
            self.setUp()
            connecting = self.endpoint("amqp://192.0.2.1").connect(Factory.forProtocol(Session))
            socket = self.reactor.socket()
            if phase:
                socket.accept()
            if phase == 2:
                socket.feed(START, tune())
            connecting.cancel()
            self.failureResultOf(connecting, CancelledError)
            self.assertEqual(self.failures, [])
            if phase:
                self.assertTrue(socket.transport.disconnected)
                socket.lose()
            self.assertEqual(self.reactor.timers(), [])

    def test_cancels_a_lookup_without_a_false_error(self) -> None:
        """Cancelling while the host name is looked up gives CancelledError: the host is not called unknown."""

        class NeverResolves(Addresses):
            def resolveHostName(self, *args: Any, **options: Any) -> Any:
                return None

        self.reactor.nameResolver = NeverResolves()
        connecting = self.endpoint("amqp://broker.invalid").connect(Factory.forProtocol(Session))
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual((self.failures, self.reactor.timers()), ([], []))
        outcome = self.connect("amqp://broker.invalid?connection_timeout=3000")
        self.reactor.advance(3.1)
        self.check_failed(outcome, BrokerUnreachable, "within 3 s")

    def test_refuses_a_name_that_no_certificate_can_have(self) -> None:
        """A host name that IDNA cannot encode fails the attempt with the cause; nothing is raised."""
        for verify in ("verify_peer", "verify_none"):
            self.setUp()
            outcome = self.connect(f"amqps://{'a' * 70}.invalid?verify={verify}")
            self.check_failed(outcome, BrokerUnreachable, "aaaa", "certificate")

    def test_refuses_certificate_files_at_once(self) -> None:
        """A file that is missing or not PEM raises when the endpoint is made."""
        missing, wrong = self.mktemp(), self.mktemp()
        with open(wrong, "w") as file:
            file.write("no certificate")
        for parameter in ("cacertfile", "certfile"):
            for path, told in ((missing, "No such file"), (wrong, "PEM")):
                error = self.assertRaises(ConfigurationError, self.endpoint, f"amqps://h?{parameter}={path}")
                self.assertIn(told, str(error))
                self.assertIn(parameter, str(error))

    def test_hands_every_value_of_the_uri_on(self) -> None:
        """Every value of the URI reaches the connection."""
        limits = "heartbeat=7&channel_max=9&frame_max=4096&send_buffer_max=131072"
        uri = parse(f"amqp://me:pw@h/v?{limits}&auth_mechanism=external")
        connection = new_connection(self.reactor, uri, "tests")
        credentials = connection.credentials
        self.assertEqual((credentials.username, credentials.password, credentials.mechanism), ("me", "pw", "EXTERNAL"))
        self.assertEqual((connection.vhost, connection.name), ("v", "tests"))
        self.assertEqual((connection.heartbeat, connection.channel_max, connection.frame_max), (7, 9, 4096))
        self.assertEqual(connection._send_buffer_max, 131072)


class HandOverTests(SynchronousTestCase):
    """The protocol that is given the connection."""

    def test_protocol_that_raises_is_logged(self) -> None:
        """Its error is logged, and close() fires all the same."""

        class Broken(Protocol):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                raise ZeroDivisionError

        reactor = BrokerReactor()
        endpoint = BrokerEndpoint(reactor, parse("amqp://192.0.2.1"), lambda: "tests", lambda error: None)
        outcome = outcome_of(endpoint.connect(Factory.forProtocol(Broken)))
        socket = reactor.socket().log_in()
        closed = outcome_of(outcome[0].transport.close())
        socket.serve()
        socket.lose()
        self.assertEqual(closed, [None])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsInstance(outcome[0].transport.reason, ConnectionClosed)
