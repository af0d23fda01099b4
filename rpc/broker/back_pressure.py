"""Back-pressure of one connection: when deliveries to a client stop, and when its input is paused.

A slow reader gets no deliveries, because its output would fill this process: see :class:`OutputState` and the table
:data:`TRANSITIONS`. Input is paused while there is a reason (:class:`PauseReason`). Pure: no socket, no clock.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, Protocol

from rpc.broker.limits import MAX_UNREAD


class OutputState(enum.Enum):
    """How far a client is with reading."""

    OPEN = "deliveries are written"
    CONGESTED = "one pass has gathered more than OUTGOING_BEFORE_PAUSE; no deliveries until it is flushed"
    SLOW = "the transport is full of bytes that the client has not read; no deliveries"
    OVERFULL = "more than OUTGOING_AT_MOST is unread; no deliveries, and input is paused"


class Signal(enum.Enum):
    """Events that change the state of the output."""

    GATHERED_MUCH = "a pass has gathered more than OUTGOING_BEFORE_PAUSE"
    FLUSHED = "the pass is written, and the transport is not full"
    TRANSPORT_FULL = "the transport asks its producer to pause (IPushProducer.pauseProducing)"
    LIMIT_REACHED = "more than OUTGOING_AT_MOST is unread"
    TRANSPORT_EMPTY = "the transport has sent everything (IPushProducer.resumeProducing)"


_O, _S = OutputState, Signal

TRANSITIONS: Final[Mapping[tuple[OutputState, Signal], OutputState]] = {
    (_O.OPEN, _S.GATHERED_MUCH): _O.CONGESTED,
    (_O.OPEN, _S.TRANSPORT_FULL): _O.SLOW,
    (_O.CONGESTED, _S.FLUSHED): _O.OPEN,
    (_O.CONGESTED, _S.TRANSPORT_FULL): _O.SLOW,
    (_O.CONGESTED, _S.TRANSPORT_EMPTY): _O.OPEN,
    (_O.SLOW, _S.LIMIT_REACHED): _O.OVERFULL,
    (_O.SLOW, _S.TRANSPORT_EMPTY): _O.OPEN,
    (_O.OVERFULL, _S.TRANSPORT_EMPTY): _O.OPEN,
}
"""The next state. A signal that is not listed for a state changes nothing."""


class PauseReason(enum.Flag):
    """Why input is not read."""

    NONE = 0
    MEMORY = enum.auto()
    """The client has published during a memory alarm (RabbitMQ: "Memory Threshold and Limit")."""
    POSTPONED = enum.auto()
    """Its input behind a ``basic.get`` is postponed until the client has read the answers so far."""
    SLICE = enum.auto()
    """Its input has taken long enough, and is continued in a later turn of the reactor (:mod:`rpc.broker.work`)."""
    UNREAD = enum.auto()
    """More than ``MAX_UNREAD`` is unread."""


OUR_REASONS: Final = PauseReason.MEMORY | PauseReason.SLICE
"""The broker, not the client, is why nothing is read: heartbeats of the client may be in the socket."""


class Valve(Protocol):
    """The socket's input, as far as back-pressure needs it."""

    def set_reading(self, reading: bool) -> None:
        """Read from the socket, or pause."""


class BackPressure:
    """The back-pressure of one connection.

    :ivar output: the state of the output.
    :ivar congested: whether deliveries stop: the output is not ``OPEN``. Each delivery reads it.
    :ivar paused: the reasons for which input is paused.
    """

    __slots__ = ("_closing", "_postponed", "_unread", "_valve", "congested", "output", "paused")

    def __init__(self, valve: Valve) -> None:
        self.output = OutputState.OPEN
        self.congested = False
        self.paused = PauseReason.NONE
        self._valve = valve
        self._unread = 0  # bytes written since the transport is full
        self._postponed: list[bytes] = []
        self._closing = False

    # -- output

    def signal(self, signal: Signal) -> None:
        """Change the state of the output by :data:`TRANSITIONS`."""
        self.output = TRANSITIONS.get((self.output, signal), self.output)
        self.congested = self.output is not OutputState.OPEN
        if not self.slow:
            self._unread = 0
        self._pause(PauseReason.UNREAD, self.output is OutputState.OVERFULL)

    def flushed(self, size: int) -> None:
        """Count the bytes of one pass, which are written now."""
        if not self.slow:
            self.signal(Signal.FLUSHED)
            return
        self._unread += size
        if self._unread > MAX_UNREAD:
            self.signal(Signal.LIMIT_REACHED)

    @property
    def slow(self) -> bool:
        """Whether the transport holds bytes that the client has not read."""
        return self.output is OutputState.SLOW or self.output is OutputState.OVERFULL

    def takes(self, gathered: int) -> bool:
        """Whether a message without a queue may be written too, when `gathered` bytes wait for the flush."""
        return self._unread + gathered <= MAX_UNREAD

    # -- input

    @property
    def reading(self) -> bool:
        """Whether input is read. A connection that is being closed always is: its peer may answer close-ok."""
        return self._closing or not self.paused

    def block_publisher(self) -> bool:
        """Pause input because the client published during a memory alarm; return whether that is new."""
        new = PauseReason.MEMORY not in self.paused
        self._pause(PauseReason.MEMORY, True)
        return new

    def unblock_publisher(self) -> bool:
        """Read input again after a memory alarm; return whether it was paused for one."""
        blocked = PauseReason.MEMORY in self.paused
        self._pause(PauseReason.MEMORY, False)
        return blocked

    @property
    def has_postponed(self) -> bool:
        """Whether input is kept for later. New bytes belong behind it."""
        return bool(self._postponed)

    def postpone(self, data: bytes, reason: PauseReason = PauseReason.NONE) -> None:
        """Keep input for later.

        :param reason: ``POSTPONED`` or ``SLICE``; ``NONE``: the same as the input before it.
        """
        self._postponed.append(data)
        if reason:
            self._pause(reason, True)

    def take_postponed(self) -> bytes:
        """Return the input that was kept, and read on."""
        data = b"".join(self._postponed)
        self.drop_postponed()
        return data

    def drop_postponed(self) -> None:
        """Forget the input that was kept."""
        self._postponed.clear()
        self._pause(PauseReason.POSTPONED | PauseReason.SLICE, False)

    def closing(self) -> None:
        """Read input from now on, in spite of all reasons to pause it."""
        before, self._closing = self.reading, True
        if not before:
            self._valve.set_reading(True)

    def _pause(self, reason: PauseReason, paused: bool) -> None:
        before = self.reading
        self.paused = self.paused | reason if paused else self.paused & ~reason
        if self.reading is not before:
            self._valve.set_reading(not before)
