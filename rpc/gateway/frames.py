"""The frames in the bytes of a connection. Pure: bytes in, frames out."""

from __future__ import annotations

import struct
from typing import Final

import attrs

from rpc.envelope.codec import LONGEST_HEAD

LENGTH: Final = struct.Struct("!I")
"""The length before each frame."""

LARGEST: Final = 0x3FFFFFFF
"""The largest frame of Thrift (``TTransport.HARD_MAX_FRAME_SIZE``). A greater number is something else: the first bytes
of a message without a frame, or of HTTP. Its sender may have sent all it has.
"""


def with_length(message: bytes) -> bytes:
    """Return a message in its frame."""
    return LENGTH.pack(len(message)) + message


@attrs.frozen
class TooLarge:
    """A frame over the limit. Its bytes are dropped as they come, so another frame may follow.

    :ivar length: of the whole frame.
    :ivar head: the beginning of the frame, in which a message has its name. It may be shorter when the length is over
        :data:`LARGEST`.
    """

    length: int
    head: bytes


class FrameReader:
    """Gathers bytes, and gives frames.

    A frame is joined once, when its last byte has come: joining it with each read would take quadratic time.

    :ivar buffered: bytes that have come and are in no frame yet.
    """

    __slots__ = ("_chunks", "_data", "_most", "_position", "_unwanted", "_wanted", "buffered")

    def __init__(self, most: int) -> None:
        """:param most: bytes of a frame."""
        self._most = most
        self.buffered = 0
        self._data = b""
        self._position = 0
        self._chunks: list[bytes] = []  # that follow the data
        self._wanted = LENGTH.size  # bytes without which another look is of no use
        self._unwanted = 0  # bytes of a frame over the limit that have not come yet

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        if self._unwanted:
            dropped = min(self._unwanted, len(data))
            self._unwanted -= dropped
            data = data[dropped:]
        if data:
            self._chunks.append(data)
            self.buffered += len(data)

    def next(self) -> bytes | TooLarge | None:
        """Return the next frame, or ``None`` when its end has not come yet."""
        if self.buffered < self._wanted:
            return None
        if self._chunks:
            self._data = b"".join((self._data[self._position :], *self._chunks))
            self._position = 0
            self._chunks.clear()
        data, begin = self._data, self._position + LENGTH.size
        (length,) = LENGTH.unpack_from(data, self._position)
        end = begin + length
        frame: bytes | TooLarge | None
        if length > self._most:
            frame, end = self._too_large(length, begin), min(end, len(data))
            if frame is None:
                return None
        elif end > len(data):
            self._wanted = LENGTH.size + length
            return None
        else:
            frame = data[begin:end]
        self.buffered -= end - self._position
        self._position = end
        self._wanted = LENGTH.size
        if end == len(data):
            self._data, self._position = b"", 0
        return frame

    def _too_large(self, length: int, begin: int) -> TooLarge | None:
        head_size = min(length, LONGEST_HEAD)
        head = self._data[begin : begin + head_size]
        if len(head) < head_size and length <= LARGEST:
            self._wanted = LENGTH.size + head_size
            return None
        self._unwanted = max(0, begin + length - len(self._data))
        return TooLarge(length, head)

    def clear(self) -> None:
        """Forget all that has come."""
        self._data, self._position, self.buffered = b"", 0, 0
        self._chunks.clear()
