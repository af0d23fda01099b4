"""Connections to pages. The cost of a client is bounded: the process that serves the pages has calls to run.

A connection has one answer. Probes ask so seldom that they gain nothing from a second one, and a client that sends
thousands of requests at once, and reads no answer, would hold the reactor and fill the memory. An answer that has no
end, such as the events of the dashboard, has bounds of its own.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site

LIFETIME: Final = 30
"""Seconds that a connection may last: the request, the wait for worker processes, and the answer."""

MOST_CONNECTIONS: Final = 100
"""Open ones of a port. A further one ends the oldest, so that clients which only connect keep no probe away."""


class _Request(Request):
    """A request without its body, or with the beginning that pages need: Twisted would keep all in a temporary file."""

    channel: Any
    content: Any

    def gotLength(self, length: int | None) -> None:
        """Begin a body that stays empty."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep as much as pages need."""
        room = self.channel.site.form_size - self.content.tell()
        self.content.write(data[:room])

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Answer; where pages need no form, as if the body had no type."""
        if not self.channel.site.form_size:
            self.requestHeaders.removeHeader(b"content-type")
        super().requestReceived(command, path, version)


class _Connection(HTTPChannel):
    """A connection with one request."""

    site: Any
    transport: Any
    _end: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Begin its life."""
        super().connectionMade()
        self._end = self.callLater(LIFETIME, self.abort)
        self.site.add(self)

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Return that the connection is closed after the answer, and have the client know it (RFC 9112, 9.6)."""
        request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        return False

    def outlive(self) -> None:
        """Let it last, and do not count it: the page bounds the number of such connections, and their lives."""
        if self._end is not None and self._end.active():
            self._end.cancel()
        self.site.remove(self)

    def abort(self) -> None:
        """End it, also when the client does not read its answer."""
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget it."""
        self.outlive()
        super().connectionLost(reason)


class PageSite(Site):
    """A site without lines in the log: probes and scrapes come every few seconds."""

    noisy = False
    protocol: Any = _Connection
    requestFactory = _Request

    def __init__(self, resource: Any, reactor: Any, form_size: int = 0) -> None:
        """:param form_size: bytes of a form that a page takes."""
        super().__init__(resource, timeout=None, reactor=reactor)
        self.form_size = form_size
        self._open: dict[_Connection, None] = {}  # the oldest first

    def add(self, connection: _Connection) -> None:
        """Note a new connection."""
        if len(self._open) >= MOST_CONNECTIONS:
            oldest = next(iter(self._open))
            self.remove(oldest)
            oldest.abort()
        self._open[connection] = None

    def remove(self, connection: _Connection) -> None:
        """Note the end of a connection."""
        self._open.pop(connection, None)

    def log(self, request: object) -> None:
        """Do nothing."""

    def logPrefix(self) -> str:
        """Return the name of the protocol, for Twisted's line about the port."""
        return "HTTP"
