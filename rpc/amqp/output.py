"""The output of one connection: all frames caused by one read are sent in a single write.

The client and the embedded broker share it. Their reasons to gather are the same: a write is a system call, and a peer
that gets many small segments reads, parses and answers each of them alone.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.tcp import Connection as Socket

SECONDS_TO_CLOSE: Final = 5.0
"""Seconds that a peer has to take the last bytes and to end its side. Then the connection is aborted."""

FEW_WRITES: Final = 2
"""Writes that are sent at once when they are all of a pass: a reply and its ack, or a request."""


class Output:
    """Frames that are gathered until :meth:`flush`.

    :ivar append: adds the bytes of one or more frames. It is the list's own method: a Python function of ours here
        would be one more call for each message.
    """

    __slots__ = ("_gathered", "_has_large", "_socket", "_transport", "append")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._socket = transport if isinstance(transport, Socket) else None  # with TLS, the socket is not ours
        self._gathered: list[bytes] = []
        self._has_large = False
        self.append = self._gathered.append

    def __len__(self) -> int:
        return len(self._gathered)

    def redirect(self, transport: Any) -> None:
        """Write to `transport` from now on: one that hands all bytes to the same socket."""
        self._transport = transport

    def write_large(self, parts: list[bytes]) -> None:
        """Write a large message behind the gathered frames, without another copy of it. No flush is small then."""
        gathered = b"".join(self._gathered)
        self._gathered.clear()
        self._has_large = True
        self._transport.writeSequence([gathered, *parts])

    def flush(self, at_once: bool = True) -> None:
        """Send the gathered frames in one write.

        A few small frames go to the socket at once, because a caller waits for them. Much output is left to the
        reactor's next iteration, which gathers more. When both ends sent it at once, a hundred concurrent calls would
        go back and forth in lockstep.

        :param at_once: False leaves small output to the reactor as well.
        """
        gathered, has_large = self._gathered, self._has_large
        self._has_large = False
        if not gathered:
            return
        small, data = at_once and len(gathered) <= FEW_WRITES and not has_large, b"".join(gathered)
        gathered.clear()
        self._transport.write(data)
        socket = self._socket
        # The dataBuffer holds bytes that the socket did not take last time.
        if small and socket is not None and not (socket.disconnecting or socket.dataBuffer):
            socket.doWrite()  # the reactor finds unsent bytes, and any error, in its next iteration
