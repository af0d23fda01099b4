"""The account of a connection's contents whose last frame has not come: they count against the broker's memory."""

from __future__ import annotations

from rpc.amqp.codec.frame_reader import FrameReader
from rpc.broker.memory import Memory


class UnfinishedContents:
    """The unfinished contents of one connection."""

    __slots__ = ("_counted", "_limit", "_memory", "_reader")

    def __init__(self, reader: FrameReader, memory: Memory, limit: int) -> None:
        """:param limit: bytes of them, at most."""
        self._reader = reader
        self._memory = memory
        self._limit = limit
        self._counted = 0

    def update(self) -> None:
        """Count the bytes that the reader has gathered or dropped since the last call."""
        held = self._reader.held
        if held > self._counted:
            self._memory.take(held - self._counted)
        elif held < self._counted:
            self._memory.release(self._counted - held)
        self._counted = held

    @property
    def too_many(self) -> bool:
        """Whether they exceed their limit, or the broker's memory is exhausted."""
        return self._counted > self._limit or (self._counted > 0 and self._memory.exhausted)
