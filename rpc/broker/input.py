"""The input of one connection, which is read in slices of time.

A read can have thousands of methods, and each may be much work. What does not fit a slice is postponed to a later turn
of the reactor, and the socket is not read meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc.amqp.codec.frame_reader import FrameReader
from rpc.broker.back_pressure import PauseReason
from rpc.broker.unfinished import UnfinishedContents
from rpc.broker.usage import Usage
from rpc.errors import FrameError
from rpc.reply_codes import RESOURCE_ERROR

if TYPE_CHECKING:
    from rpc.broker.connection import BrokerConnection


class Input:
    """The bytes that have come on one connection, from the socket to its channels."""

    __slots__ = (
        "_connection",
        "_postpone_for",
        "_pressure",
        "_reader",
        "_seconds",
        "_slice_end",
        "_unfinished",
        "_usage",
        "_work",
    )

    def __init__(self, connection: BrokerConnection, reader: FrameReader) -> None:
        """:param reader: of the connection's frames."""
        broker = connection.broker
        self._connection = connection
        self._pressure = connection.back_pressure
        self._reader = reader
        self._unfinished = UnfinishedContents(reader, broker.memory, broker.limits.contents)
        self._work = broker.work
        self._seconds = broker.clock.seconds
        self._slice_end = 0.0
        self._usage = Usage(self._seconds())
        self._postpone_for = PauseReason.NONE

    @property
    def unfinished(self) -> int:
        """Bytes of contents whose last frame has not come."""
        return self._reader.held

    def takes(self, data: bytes) -> bool:
        """Return whether bytes are to be read now. Otherwise they are kept for later, or are not wanted any more."""
        if self._pressure.has_postponed:
            self._pressure.postpone(data)
        elif not self._reader.stopped:
            if not self._work.crowded:
                return True
            self._wait(data)
        return False

    def read(self, data: bytes) -> None:
        """Read frames, as far as a slice goes.

        :raises FrameError: the bytes are no frames, or there are too many of unfinished contents.
        """
        begin = self._seconds()
        self._slice_end = begin + self._work.share
        self._reader.feed(data)
        spent = self._seconds() - begin
        self._usage.add(begin, spent)
        self._work.spend(spent)
        if self._postpone_for:
            self._keep_rest()
        self._unfinished.update()
        if self._unfinished.too_many:
            raise FrameError(RESOURCE_ERROR, "too many bytes of unfinished contents")

    def end_slice_if_over(self) -> None:
        """Postpone the input behind a method when this read has taken its slice. Each method with an effect asks."""
        if self._seconds() > self._slice_end:
            self.postpone(PauseReason.SLICE)

    def postpone(self, reason: PauseReason) -> None:
        """Postpone the input behind a method."""
        if not self._reader.stopped:
            self._reader.stopped = True
            self._postpone_for = reason

    def _keep_rest(self) -> None:
        reason, self._postpone_for = self._postpone_for, PauseReason.NONE
        rest = self._reader.take_rest()
        if not rest or self._connection.closing:
            self._reader.stopped = False
            self._reader.feed(rest)  # nothing of it but close-ok has an effect
        elif reason is PauseReason.SLICE:
            self._wait(rest)
        else:
            self._pressure.postpone(rest, reason)

    def _wait(self, data: bytes) -> None:
        self._pressure.postpone(data, PauseReason.SLICE)
        self._work.wait(self._usage.rank(self._seconds()), self.resume)

    def resume(self) -> None:
        """Read the postponed input, if there is any."""
        if self._pressure.has_postponed:
            self._reader.stopped = False
            self._connection.read(self._pressure.take_postponed())

    def stop(self) -> None:
        """Read nothing more."""
        self._reader.stopped = True
        self._pressure.drop_postponed()

    def clear(self) -> None:
        """Drop the unread input: the socket is closed."""
        self.stop()
        self._reader.clear()
        self._unfinished.update()
