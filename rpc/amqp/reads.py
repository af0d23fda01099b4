"""How many bytes one read from the socket may take."""

from __future__ import annotations

from twisted.internet.tcp import Connection as Socket

LEAST_AT_ONCE, MOST_AT_ONCE = 65536, 1048576
"""Bytes of one read from a socket: Twisted's, and those for large messages."""


class ReadSize:
    """The size of a socket's reads, which follows the messages.

    Large messages need fewer iterations of the reactor with large reads. For small ones large buffers cost a tenth of
    the rate, and many small messages in one pass would keep timers from running.

    :ivar least: a read of fewer bytes was too small for the size.
    :ivar size: a read of so many bytes was full.
    """

    __slots__ = ("_socket", "least", "size")

    def __init__(self, socket: Socket | None) -> None:
        """:param socket: ``None`` when there is TLS in between, which reads by itself."""
        self._socket = socket
        self.size = LEAST_AT_ONCE
        self.least = 0

    def adapt(self, read: int, expected: int) -> None:
        """Take more at once within a larger message, and less again when there is little to read.

        :param read: bytes of the last read, fewer than :attr:`least` or at least :attr:`size`.
        :param expected: bytes that are still to come of the contents that have begun.
        """
        if self._socket is None:
            return
        if read < self.least:
            self.size //= 2
        elif expected > self.size:
            self.size = min(2 * self.size, MOST_AT_ONCE)
        self._socket.bufferSize = self.size
        self.least = self.size // 4 if self.size > LEAST_AT_ONCE else 0
