"""Pages over HTTP: their server, and ``/metrics``."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rpc.serving.metrics import Gather, MetricsPage
from rpc.serving.pages import Asked, Page, page_servers, site
from tests.unit.logs import log_lines


class PageServerTests(SynchronousTestCase):
    """Which server has which pages."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.health = Asked("health", "127.0.0.1", 8080, {"live": Page(), "ready": Page()})

    def test_options_with_one_address_share_it(self) -> None:
        """With another port or interface, they do not."""
        for interface, port, count in (("127.0.0.1", 8080, 1), ("127.0.0.1", 9464, 2), ("::1", 8080, 2)):
            metrics = Asked("metrics", interface, port, {"metrics": Page()})
            servers = page_servers(self.reactor, [self.health, metrics])
            self.assertEqual(len(servers), count, (interface, port))

    def test_the_log_has_the_addresses_of_the_pages(self) -> None:
        """Or the port is told to a function."""
        lines = log_lines(self)
        told: list[int] = []
        for announce in (None, told.append):
            (server,) = page_servers(self.reactor, [self.health], announce)
            self.assertIsNone(server.listen())
        shown = f"{self.reactor.listenTCP(8080, site({}, self.reactor), interface='127.0.0.1').getHost().host}:8080"
        self.assertEqual(lines, [f"pages: http://{shown}/live, http://{shown}/ready"])
        self.assertEqual(told, [8080])


class Broken(Collector):
    """A collector of a user."""

    def collect(self) -> Iterator[Any]:
        """Fail."""
        raise ZeroDivisionError


class MetricsPageTests(SynchronousTestCase):
    """``/metrics``, as bytes."""

    def setUp(self) -> None:
        self.registry = CollectorRegistry()
        Counter("words", "Words.", registry=self.registry).inc(3)

    def request(self, gather: Gather, accept: str = "*/*") -> tuple[StringTransport, Any]:
        """Return the transport and the protocol of a connection that has asked for the page."""
        pages = site({"metrics": MetricsPage(gather)}, Clock())
        transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 1))
        protocol = pages.buildProtocol(None)
        protocol.makeConnection(transport)
        head = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        protocol.dataReceived(head.encode())
        return transport, protocol

    def test_has_the_metrics_in_the_format_that_the_client_prefers(self) -> None:
        """Text, or OpenMetrics."""
        for accept, kind in (("*/*", b"text/plain"), ("application/openmetrics-text", b"application/openmetrics-text")):
            transport, _ = self.request(lambda: succeed(self.registry), accept)
            head, _, body = transport.value().partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
            self.assertIn(b"Content-Type: " + kind, head)
            self.assertIn(b"words_total 3.0\n", body)
            self.assertTrue(transport.disconnecting)

    def test_a_failing_collector_is_an_error_of_the_page(self) -> None:
        """It is logged, and the client learns nothing about it."""
        self.registry.register(Broken())
        transport, _ = self.request(lambda: succeed(self.registry))
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 500 "), transport.value())
        self.assertNotIn(b"ZeroDivisionError", transport.value())
        self.assertTrue(transport.disconnecting)
        gc.collect()
        self.assertEqual([failure.type for failure in self.flushLoggedErrors()], [ZeroDivisionError])

    def test_a_client_that_goes_ends_the_wait(self) -> None:
        """Nothing is written to it."""
        cancelled: list[Any] = []
        gathering: Deferred[CollectorRegistry] = Deferred(cancelled.append)
        transport, protocol = self.request(lambda: gathering)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(cancelled, [gathering])
        self.assertEqual(transport.value(), b"")
        self.assertEqual(self.flushLoggedErrors(CancelledError), [])

    def test_the_page_waits_for_its_metrics(self) -> None:
        """They come from other processes."""
        gathering: Deferred[CollectorRegistry] = Deferred()
        transport, _ = self.request(lambda: gathering)
        self.assertEqual(transport.value(), b"")
        gathering.callback(self.registry)
        body = transport.value().partition(b"\r\n\r\n")[2].decode()
        (family,) = [each for each in text_string_to_metric_families(body) if each.name == "words"]
        self.assertEqual([sample.value for sample in family.samples], [3.0])
