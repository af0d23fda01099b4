"""Connections to pages, as bytes: the cost of slow, greedy and silent clients."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rpc.serving.health import health_pages
from rpc.serving.page_connections import LIFETIME, MOST_CONNECTIONS
from rpc.serving.pages import site
from rpc.worker.readiness import Readiness
from tests.unit.logs import log_lines

GET = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"


class PageConnectionTests(SynchronousTestCase):
    """Clients of the health pages."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.site = site(health_pages(lambda: Readiness.READY), self.clock)

    def connect(self) -> tuple[Any, StringTransport]:
        """Return the protocol and the transport of a new connection."""
        transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 1))
        protocol = self.site.buildProtocol(transport.getPeer())
        assert protocol is not None
        protocol.makeConnection(transport)
        return protocol, transport

    def test_answers_one_request_and_closes(self) -> None:
        """Also a client that sends a thousand before it reads: each answer costs time and memory."""
        protocol, transport = self.connect()
        protocol.dataReceived(GET * 1000)
        self.assertEqual(transport.value().count(b"HTTP/1.1 200 OK"), 1)
        self.assertIn(b"Connection: close\r\n", transport.value())
        self.assertTrue(transport.disconnecting)

    def test_a_connection_has_a_longest_life(self) -> None:
        """However little a client sends at a time, and if it does not read its answer. There is no line in the log."""
        lines = log_lines(self)
        silent, slow, deaf = (self.connect() for _ in range(3))
        deaf[0].dataReceived(GET)
        for _ in range(LIFETIME - 1):
            slow[0].dataReceived(b"G")
            self.clock.advance(1)
        self.assertFalse(any(transport.disconnected for _, transport in (silent, slow, deaf)))
        self.clock.advance(1)
        self.assertTrue(all(transport.disconnected for _, transport in (silent, slow, deaf)))
        for protocol, _ in (silent, slow, deaf):
            protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(lines, [])

    def test_leaves_no_timer(self) -> None:
        """When the client is done."""
        protocol, _ = self.connect()
        protocol.dataReceived(GET)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_further_connection_ends_the_oldest(self) -> None:
        """So clients that only connect neither take all descriptors, nor keep a probe away."""
        first, second, *_ = [self.connect() for _ in range(MOST_CONNECTIONS)]
        second[0].connectionLost(Failure(ConnectionDone()))
        self.connect()
        self.assertFalse(first[1].disconnected)
        protocol, transport = self.connect()
        self.assertTrue(first[1].disconnected)
        protocol.dataReceived(GET)
        self.assertIn(b"HTTP/1.1 200 OK", transport.value())

    def test_a_body_is_not_kept(self) -> None:
        """Twisted would write it to a file, however long it is."""
        for kind in (b"Content-Length: 1000000000", b"Transfer-Encoding: chunked", b"Content-Length: 3"):
            protocol, transport = self.connect()
            protocol.dataReceived(b"POST /live HTTP/1.1\r\nHost: x\r\n" + kind + b"\r\n\r\n")
            self.assertEqual(protocol.requests[0].content.read(), b"")
            protocol.dataReceived(b"3\r\nabc\r\n0\r\n\r\n" if b"chunked" in kind else b"abc")
            if b"1000" not in kind:
                self.assertIn(b"HTTP/1.1 405 ", transport.value())
                self.assertIn(b"Allow: GET, HEAD\r\n", transport.value())

    def test_a_form_is_no_error(self) -> None:
        """Twisted would parse its body, which is not kept."""
        for kind in (b"multipart/form-data; boundary=b", b"multipart/form-data", b"application/x-www-form-urlencoded"):
            protocol, transport = self.connect()
            head = b"POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Type: " + kind
            protocol.dataReceived(head + b"\r\n\r\nabc")
            self.assertIn(b"HTTP/1.1 405 ", transport.value(), kind)
