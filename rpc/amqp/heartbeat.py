"""Heartbeats both ways: ours are sent, and the broker's silence is noticed (AMQP 0-9-1, section 4.2.7)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import LoopingCall

from rpc.interfaces import IClock

FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"
TICKS_OF_SILENCE = 4
"""Half intervals without a byte from the broker: two intervals, noticed within two and a half."""


class Heartbeat:
    """One connection's heartbeat.

    :ivar silent_ticks: half intervals since bytes came. The receiver of bytes sets it to 0: a call of a method would
        be one more for each read.
    """

    def __init__(
        self, clock: IClock, interval: float, send: Callable[[bytes], None], silent: Callable[[], None]
    ) -> None:
        """Send a heartbeat every half `interval` seconds; call `silent` after two intervals without bytes."""
        self._send = send
        self._silent = silent
        self.silent_ticks = 0
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock
        self._loop.start(interval / 2, now=False)

    def stop(self) -> None:
        """Stop sending and watching."""
        if self._loop.running:
            self._loop.stop()

    def _tick(self) -> None:
        self.silent_ticks += 1
        if self.silent_ticks > TICKS_OF_SILENCE:
            self.stop()
            self._silent()
        else:
            self._send(FRAME)
