"""The site in memory: requests as bytes, and a source whose readings a test gives."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from rpc.dashboard.access import Access
from rpc.dashboard.audience import Audience, ISource
from rpc.dashboard.pages import FORM_SIZE, guarded
from rpc.dashboard.readings import Reading
from rpc.dashboard.snapshot import Broker, BrokerState
from rpc.serving.page_connections import PageSite
from tests.unit.dashboard.readings import EPOCH, reading

UP = Broker("amqp://user:***@broker", BrokerState.UP, EPOCH)


@implementer(ISource)
class Source:
    """A broker and its workers.

    :ivar state: of the connection.
    :ivar next: the next answer: a reading, or a Deferred.
    :ivar looks: how often it was asked.
    """

    def __init__(self) -> None:
        self.state = UP
        self.next: Reading | Deferred[Reading] | None = None
        self.looks = 0

    def broker(self) -> Broker:
        """See :class:`ISource`."""
        return self.state

    def read(self) -> Deferred[Reading]:
        """See :class:`ISource`."""
        self.looks += 1
        if isinstance(self.next, Deferred):
            return self.next
        return succeed(self.next or reading(self.looks))


@attrs.define
class Answer:
    """An answer that a browser has received.

    :ivar headers: by lower-case name.
    """

    status: int
    headers: dict[str, str]
    body: bytes


class Browser:
    """Sends requests to a dashboard."""

    def __init__(self, token: str | None = None) -> None:
        self.clock = Clock()
        self.source = Source()
        self.audience = Audience(self.clock, self.source)
        self.access = Access(token)
        self.wrong: list[str] = []
        self.site = PageSite(guarded(self.access, self.audience.admit, self.wrong.append), self.clock, FORM_SIZE)

    def open(
        self, path: str, *lines: str, method: str = "GET", host: str = "localhost:8088", body: str = ""
    ) -> tuple[Any, Any]:
        """Send a request; return its connection's transport and protocol."""
        transport = StringTransport(
            hostAddress=IPv4Address("TCP", "127.0.0.1", 8088), peerAddress=IPv4Address("TCP", "127.0.0.1", 1)
        )
        protocol = self.site.buildProtocol(None)
        protocol.makeConnection(transport)
        form = ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"] if body else []
        head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, *form, "", ""]
        protocol.dataReceived("\r\n".join(head).encode() + body.encode())
        return transport, protocol

    def get(self, path: str, *lines: str, **options: Any) -> Answer:
        """Send a request; return the answer, which must be complete."""
        transport, _ = self.open(path, *lines, "Connection: close", **options)
        assert transport.disconnecting, transport.value()
        head, _, body = transport.value().partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        pairs = (field.partition(": ") for field in fields)
        return Answer(int(status.split()[1]), {name.lower(): value for name, _, value in pairs}, body)
