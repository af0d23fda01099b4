"""Notices when the broker does not read: a bound on the bytes that are written and not yet sent.

The transport calls its producer, an ``IPushProducer``, when its buffer fills and when it is empty again. Between the
two, writes are counted. A connection whose output flows pays nothing for this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.tcp import Connection as Socket
from zope.interface import implementer


def socket_of(transport: Any) -> Socket | None:
    """Return the socket of a transport, below TLS if there is any; ``None`` when it has none."""
    below = getattr(transport, "transport", transport)
    return below if isinstance(below, Socket) else None


@implementer(IPushProducer)
class Congestion:
    """Counts the unsent bytes of one transport while its buffer is not empty.

    :ivar unsent: bytes that are in the buffer, as of the last write.
    """

    def __init__(
        self,
        transport: Any,
        socket: Socket,
        limit: int,
        redirect: Callable[[Any], None],
        changed: Callable[[int], None],
    ) -> None:
        """
        :param socket: the socket of `transport`.
        :param limit: unsent bytes above which the connection is congested, until all are sent.
        :param redirect: called with the object to write to: this one while writes are counted, else `transport`.
        :param changed: called with the unsent bytes when they exceed the limit, and with 0 when all are sent.
        """
        self._transport = transport
        self._socket = socket
        self._limit = limit
        self._redirect = redirect
        self._changed = changed
        self._counting = False
        self._congested = False
        self._buffer = b""
        self._added = 0
        self.unsent = 0
        transport.registerProducer(self, True)

    def stop(self) -> None:
        """Count no more. A transport with a producer does not close."""
        self._redirect(self._transport)
        self._transport.unregisterProducer()

    # -- IPushProducer, called by the transport

    def pauseProducing(self) -> None:
        if not self._counting:
            self._counting = True
            self._buffer = self._socket.dataBuffer
            self._added = self._socket.bufferSize  # more than that was written, or there would be no pause
            self._redirect(self)
            self._count(0)

    def resumeProducing(self) -> None:
        self._counting = False
        self._redirect(self._transport)
        self.unsent = 0
        if self._congested:
            self._congested = False
            self._changed(0)

    def stopProducing(self) -> None:
        """Do nothing: the connection is lost, and its protocol is told."""

    # -- a transport that counts

    def write(self, data: bytes) -> None:
        """Write `data`, and count it."""
        self._transport.write(data)
        self._count(len(data))

    def writeSequence(self, parts: Sequence[bytes]) -> None:
        """Write `parts`, and count them."""
        self._transport.writeSequence(parts)
        self._count(sum(map(len, parts)))

    def _count(self, size: int) -> None:
        """Update the number of unsent bytes.

        A socket sends from ``dataBuffer``. It keeps later writes aside, and now and then joins all of them to a new
        ``dataBuffer``: those are the bytes written while the buffer is the same object.
        """
        buffer = self._socket.dataBuffer
        if buffer is not self._buffer:
            self._buffer, self._added = buffer, 0
        self._added += size
        self.unsent = len(buffer) - self._socket.offset + self._added
        if self.unsent > self._limit and not self._congested:
            self._congested = True
            self._changed(self.unsent)
