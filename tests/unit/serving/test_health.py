"""``/live`` and ``/ready``."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from rpc.serving.health import health_pages
from rpc.serving.pages import site
from rpc.worker.readiness import Readiness
from tests.unit.logs import log_lines


class HealthTests(SynchronousTestCase):
    """The pages, as bytes."""

    def setUp(self) -> None:
        self.readiness = Readiness.READY
        self.clock = Clock()
        self.site = site(health_pages(lambda: self.readiness), self.clock)

    def answer(self, request: str) -> bytes:
        """Return the answer of the site, which then closes the connection."""
        protocol = self.site.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(f"{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        self.assertTrue(transport.disconnecting)
        answer: bytes = transport.value()
        return answer

    def test_ready_is_200_only_while_requests_are_taken(self) -> None:
        """Else 503; the text has the reason."""
        for self.readiness in Readiness:
            answer = self.answer("GET /ready")
            status = b"200" if self.readiness is Readiness.READY else b"503"
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status + b" "), answer)
            self.assertTrue(answer.endswith(f"\r\n\r\n{self.readiness.value}\n".encode()), answer)

    def test_live_is_200_always(self) -> None:
        """A worker that is not ready is not to be killed."""
        for self.readiness in Readiness:
            self.assertTrue(self.answer("GET /live").startswith(b"HTTP/1.1 200 "))

    def test_head_has_the_status(self) -> None:
        """Without the text."""
        self.readiness = Readiness.BLOCKED
        answer = self.answer("HEAD /ready")
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
        self.assertTrue(answer.endswith(b"\r\n\r\n"), answer)
        length = len(f"{self.readiness.value}\n")
        self.assertIn(f"\r\ncontent-length: {length}\r\n".encode(), answer.lower())

    def test_other_pages_and_methods_are_errors(self) -> None:
        """404 and 405."""
        for page in ("/", "/nothing", "/ready/more", "/ready/../../etc/passwd"):
            self.assertIn(b" 404 ", self.answer(f"GET {page}")[:20], page)
        self.assertIn(b" 405 ", self.answer("DELETE /live")[:20])

    def test_logs_no_requests(self) -> None:
        """Probes come every few seconds."""
        lines = log_lines(self)
        for method in ("GET", "HEAD"):
            self.answer(f"{method} /live")
        self.assertEqual(lines, [])
