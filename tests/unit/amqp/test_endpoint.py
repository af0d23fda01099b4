"""From a URI to an open connection: hosts in turn, causes by name, and nothing left of what failed."""

from __future__ import annotations

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
    """What is given an open connection."""

    reason: Any = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason.value


class BrokerEndpointTests(SynchronousTestCase):
    """BrokerEndpoint, on a reactor in memory."""

    def setUp(self) -> None:
        self.reactor = BrokerReactor()
        self.failures: list[AMQPError] = []

    def endpoint(self, uri: str) -> BrokerEndpoint:
        """An endpoint for the URI."""
        return BrokerEndpoint(self.reactor, parse(uri), lambda: "tests", self.failures.append)

    def connect(self, uri: str = "amqp://me:secret@192.0.2.1/mine") -> list[Any]:
        """Begin to connect; the list gets the outcome."""
        return outcome_of(self.endpoint(uri).connect(Factory.forProtocol(Session)))

    def check_failed(self, outcome: list[Any], kind: type[AMQPError], *told: str) -> None:
        """It failed so, the link's owner was told the same, and nothing is left."""
        (error,) = outcome
        self.assertIs(type(error), kind, error)
        self.assertEqual(self.failures, [error])
        for words in told:
            self.assertIn(words, str(error))
        self.assertNotIn("secret", str(error))

    def test_open_connection(self) -> None:
        """The protocol gets the open connection as its transport; nothing keeps running but the heartbeat."""
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

    def test_silence(self) -> None:
        """Connecting and leaving write nothing to the log: the link says what is worth saying."""
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

    def test_hosts_in_turn(self) -> None:
        """Each attempt goes to the next host, and after the last to the first."""
        endpoint = self.endpoint("amqp://192.0.2.1,192.0.2.2:5673,[2001:db8::1]")
        tried = []
        for _ in range(4):
            failed = outcome_of(endpoint.connect(Factory.forProtocol(Session)))
            socket = self.reactor.socket()
            tried.append(socket.where)
            socket.refuse()
            self.assertIsInstance(failed[0], BrokerUnreachable)
        hosts = [("192.0.2.1", 5672), ("192.0.2.2", 5673), ("2001:db8::1", 5672), ("192.0.2.1", 5672)]
        self.assertEqual(tried, hosts)
        self.assertEqual(len(self.failures), 4)

    def test_refused(self) -> None:
        """Nobody listens: BrokerUnreachable with host and port, and the reason once."""
        outcome = self.connect()
        self.reactor.socket().refuse()
        self.assertEqual(str(outcome[0]), "192.0.2.1:5672: Connection refused")
        self.check_failed(outcome, BrokerUnreachable, "192.0.2.1:5672", "refused")
        self.assertEqual(self.reactor.timers(), [])

    def test_no_answer(self) -> None:
        """A broker that says nothing, or stops within the handshake, is given the connection timeout."""
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

    def test_no_socket_in_time(self) -> None:
        """The timeout holds for the TCP connection too."""
        outcome = self.connect("amqp://192.0.2.1?connection_timeout=3000")
        self.reactor.advance(3.1)
        self.check_failed(outcome, BrokerUnreachable, "within 3 s")

    def test_broker_that_refuses(self) -> None:
        """Login and virtual host keep their class and code, and the host is named."""
        close = method(0, "connection.close", 403, "ACCESS_REFUSED", 0, 0)
        outcome = self.connect()
        self.reactor.socket().accept().feed(START, close)
        self.check_failed(outcome, AuthenticationFailed, "403", "192.0.2.1:5672", "'me'")
        self.setUp()
        outcome = self.connect()
        close = method(0, "connection.close", 530, "NOT_ALLOWED", 10, 40)
        self.reactor.socket().accept().feed(START, tune(), close)
        self.check_failed(outcome, VirtualHostRefused, "530", "192.0.2.1:5672", "'mine'")

    def test_stranger(self) -> None:
        """A port where something else listens is named, with its answer."""
        outcome = self.connect()
        self.reactor.socket().accept().feed(b"SSH-2.0-OpenSSH\r\n")
        self.check_failed(outcome, FrameError, "192.0.2.1:5672", "SSH-2.0")

    def test_socket_that_ends(self) -> None:
        """A connection that ends within the handshake is a broker that is not reached."""
        outcome = self.connect()
        socket = self.reactor.socket().accept()
        socket.feed(START)
        socket.lose()
        self.check_failed(outcome, BrokerUnreachable, "192.0.2.1:5672", "before the handshake was over")

    def test_cancelled(self) -> None:
        """Cancelling gives CancelledError in every phase, and leaves neither socket nor timer."""
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

    def test_cancelled_lookup_is_no_failure(self) -> None:
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

    def test_name_that_no_certificate_can_have(self) -> None:
        """A host name that IDNA cannot encode fails the attempt with the cause; nothing is raised."""
        for verify in ("verify_peer", "verify_none"):
            self.setUp()
            outcome = self.connect(f"amqps://{'a' * 70}.invalid?verify={verify}")
            self.check_failed(outcome, BrokerUnreachable, "aaaa", "certificate")

    def test_certificate_files(self) -> None:
        """A file that is missing or is no PEM is found when the endpoint is made."""
        missing, wrong = self.mktemp(), self.mktemp()
        with open(wrong, "w") as file:
            file.write("no certificate")
        for parameter in ("cacertfile", "certfile"):
            for path, told in ((missing, "No such file"), (wrong, "PEM")):
                error = self.assertRaises(ConfigurationError, self.endpoint, f"amqps://h?{parameter}={path}")
                self.assertIn(told, str(error))
                self.assertIn(parameter, str(error))

    def test_new_connection(self) -> None:
        """Every value of the URI reaches the connection."""
        uri = parse("amqp://me:pw@h/v?heartbeat=7&channel_max=9&frame_max=4096&auth_mechanism=external")
        connection = new_connection(self.reactor, uri, "tests")
        credentials = connection.credentials
        self.assertEqual((credentials.username, credentials.password, credentials.mechanism), ("me", "pw", "EXTERNAL"))
        self.assertEqual((connection.vhost, connection.name), ("v", "tests"))
        self.assertEqual((connection.heartbeat, connection.channel_max, connection.frame_max), (7, 9, 4096))


class HandOverTests(SynchronousTestCase):
    """The protocol that is given the connection."""

    def test_protocol_that_raises(self) -> None:
        """Its error is logged, and who closed the connection is told all the same."""

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
