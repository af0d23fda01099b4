"""A TCP proxy before the broker that counts the frames of both directions (AMQP 0-9-1, 4.2.3)."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

PROTOCOL_HEADER = 8
FRAME_HEADER, FRAME_END = 7, 1

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
KINDS = {HEADER: "content header", BODY: "content body", HEARTBEAT: "heartbeat"}

METHODS = {(60, 40): "basic.publish", (60, 50): "basic.return", (60, 60): "basic.deliver", (60, 80): "basic.ack"}


class FrameCounter:
    """Counts the frames in a stream of bytes, which may be cut anywhere.

    :param skipped: bytes before the first frame.
    """

    def __init__(self, counted: Counter[str], skipped: int = 0) -> None:
        self._counted = counted
        self._skipped = skipped
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._buffer += data
        if self._skipped:
            left = min(self._skipped, len(self._buffer))
            del self._buffer[:left]
            self._skipped -= left
        at = 0
        while len(self._buffer) - at >= FRAME_HEADER:
            kind, _, size = struct.unpack_from(">BHI", self._buffer, at)
            end = at + FRAME_HEADER + size + FRAME_END
            if end > len(self._buffer):
                break
            self._counted[self._name(kind, at + FRAME_HEADER)] += 1
            at = end
        del self._buffer[:at]

    def _name(self, kind: int, payload: int) -> str:
        if kind != METHOD:
            return KINDS.get(kind, f"frame type {kind}")
        method = struct.unpack_from(">HH", self._buffer, payload)
        return METHODS.get(method, f"method {method[0]}.{method[1]}")


class _Half(Protocol):
    """One of the two connections of a proxied connection."""

    def __init__(self, counter: FrameCounter) -> None:
        self._counter = counter
        self._early: list[bytes] = []
        self.other: _Half | None = None

    def dataReceived(self, data: bytes) -> None:
        self._counter.feed(data)
        if self.other is None:
            self._early.append(data)
        else:
            self._write_to(self.other, data)

    def join(self, other: _Half) -> None:
        """Forward all bytes to `other`, those that arrived early first."""
        self.other = other
        for data in self._early:
            self._write_to(other, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.loseConnection()

    @staticmethod
    def _write_to(other: _Half, data: bytes) -> None:
        assert other.transport is not None
        other.transport.write(data)


class CountingProxy:
    """Listens on a free port, and connects to the broker on `port` for each connection.

    :ivar sent: frames from the proxy's clients to the broker, by kind.
    :ivar received: frames from the broker.
    """

    def __init__(self, reactor: Any, port: int) -> None:
        self.sent: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self._broker = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        factory = Factory.forProtocol(self._accepted)
        self._listening = reactor.listenTCP(0, factory, interface="127.0.0.1")

    def url(self, virtual_host: str) -> str:
        """The broker's URL by way of the proxy."""
        return f"amqp://guest:guest@127.0.0.1:{self._listening.getHost().port}/{virtual_host}"

    def clear(self) -> None:
        """Count from 0."""
        self.sent.clear()
        self.received.clear()

    def close(self) -> Deferred[Any]:
        """Listen no more."""
        return maybeDeferred(self._listening.stopListening)

    def _accepted(self) -> _Half:
        near, far = _Half(FrameCounter(self.sent, PROTOCOL_HEADER)), _Half(FrameCounter(self.received))

        def connected(_: object) -> None:
            near.join(far)
            far.join(near)

        connectProtocol(self._broker, far).addCallback(connected)
        return near
