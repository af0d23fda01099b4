"""Frames read out of bytes, and contents put together from them (AMQP 0-9-1, sections 4.2.3 and 4.2.6).

Client and broker share the reader. Most often all three frames of a content are there at once, and are read in one
step. A content that comes in pieces is put together here. Nothing is queued: a method or a content goes to its channel
as soon as its last byte is there. Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from rpc.amqp.codec.frames import (
    BASIC,
    BODY,
    END,
    FRAME_OVERHEAD,
    HEADER,
    KINDS,
    LARGEST_PAYLOAD_BEFORE_TUNE,
    METHOD,
    UNLIMITED,
    WITH_CONTENT,
    content_header,
    frame_head,
    method_key,
    next_head,
)
from rpc.errors import FrameError


class Receiver(Protocol):
    """A channel, as the reader sees it. An exception of it ends the reading."""

    def method_arrived(self, key: int, buffer: bytes, start: int, end: int) -> None:
        """Take a method: class id and method id in `key`, its arguments from `start` to `end`."""

    def content_arrived(
        self, key: int, buffer: bytes, start: int, end: int, encoded_properties: bytes, body: bytes
    ) -> None:
        """Take a method with its whole content."""


HEAD_KEPT = 16384
"""Bytes that are kept of a body that is too large: its beginning has the name and the seqid, for the answer."""


class CutBody(bytes):
    """The beginning of a body that is over :attr:`FrameReader.max_content`.

    :ivar size: bytes of the whole body.
    """

    size: int

    @classmethod
    def of(cls, head: bytes, size: int) -> CutBody:
        """Return the beginning `head` of a body of `size` bytes."""
        body = cls(head)
        body.size = size
        return body


class _Assembly:
    """A content whose frames are coming in.

    :ivar left: bytes of the body that have not come; -1 before the header.
    :ivar held: bytes of the content that have come.
    """

    __slots__ = ("arguments", "chunks", "encoded_properties", "held", "key", "left", "size")

    def __init__(self, key: int, arguments: bytes) -> None:
        self.key = key
        self.arguments = arguments
        self.encoded_properties = b""
        self.size = 0
        self.left = -1
        self.held = len(arguments)
        self.chunks: list[bytes] = []


def _refuse_number(channel_id: int) -> Receiver:
    raise FrameError(504, f"a frame on channel {channel_id}, which is not open")


class FrameReader:
    """One direction of one connection.

    :ivar max_payload: bytes of a frame's payload, at most.
    :ivar max_content: bytes of a body, at most. A larger one is read to its end, and its beginning is kept.
    :ivar held: bytes of contents that have come in part.
    :ivar stopped: set to leave the rest of the bytes at hand unread: :meth:`take_rest`.
    """

    __slots__ = (
        "_assemblies",
        "_channels",
        "_partial",
        "_partial_size",
        "_too_large",
        "_unknown",
        "_wanted",
        "held",
        "max_content",
        "max_payload",
        "stopped",
    )

    def __init__(
        self,
        channels: Mapping[int, Receiver],
        unknown: Callable[[int], Receiver] = _refuse_number,
        too_large: Callable[[int, int], None] | None = None,
    ) -> None:
        """
        :param channels: the open ones, by number; looked up for every frame.
        :param unknown: called with the number of a channel that is not open; returns the frame's receiver, or raises.
        :param too_large: called with channel and size at the end of a body that is over :attr:`max_content`; without
            it, the channel gets the content with a :class:`CutBody`.
        """
        self.max_payload = LARGEST_PAYLOAD_BEFORE_TUNE
        self.max_content = UNLIMITED
        self.held = 0
        self.stopped = False
        self._channels = channels
        self._unknown = unknown
        self._too_large = too_large
        self._assemblies: dict[int, _Assembly] = {}
        self._partial: list[bytes] = []
        self._partial_size = 0
        self._wanted = frame_head.size  # bytes that the partial frame needs before it is read again

    def clear(self) -> None:
        """Drop partial frames and partial contents."""
        self._partial.clear()
        self._partial_size = 0
        self._assemblies.clear()
        self.held = 0

    def forget(self, channel_id: int) -> None:
        """Drop the partial content of a channel that has ended."""
        content = self._assemblies.pop(channel_id, None)
        if content is not None:
            self.held -= content.held

    def feed(self, data: bytes) -> None:
        """Read every whole frame. A partial frame is kept until its rest has come.

        :raises FrameError: the bytes are no frames, or frames that must not come now.
        """
        if self._partial:
            self._partial.append(data)
            self._partial_size += len(data)
            if self._partial_size < self._wanted:
                return
            data = b"".join(self._partial)
            self._partial.clear()
        read = self._read(data)
        if read < len(data):
            self._partial.append(data[read:])
            self._partial_size = len(data) - read

    @property
    def expected(self) -> int:
        """Bytes that are still to come of the bodies that have begun."""
        return sum(max(0, content.left) for content in self._assemblies.values())

    def take_rest(self) -> bytes:
        """Return the bytes that are not read, and keep them no longer."""
        rest = self.waiting()
        self._partial.clear()
        return rest

    def waiting(self) -> bytes:
        """Return the bytes of a partial frame."""
        return b"".join(self._partial)

    def _read(self, data: bytes) -> int:
        """Hand on every whole frame in `data`; return where the rest begins."""
        offset, size = 0, len(data)
        channels, assemblies = self._channels, self._assemblies
        while not self.stopped:
            if size - offset < frame_head.size:
                self._wanted = frame_head.size
                return offset
            kind, channel_id, length = frame_head.unpack_from(data, offset)
            if length > self.max_payload or kind not in KINDS:
                raise FrameError(501, f"a frame of type {kind} and {length} bytes")
            start = offset + 7
            end = start + length
            if end >= size:
                self._wanted = length + FRAME_OVERHEAD
                return offset
            if data[end] != END:
                raise FrameError(501, "a frame without its end octet")
            offset = end + 1
            channel = channels.get(channel_id)
            if channel is None:
                channel = self._unknown(channel_id)
            if kind == METHOD:
                if length < 4:
                    raise FrameError(502, "a method that ends within its number")
                if channel_id in assemblies:
                    raise FrameError(505, "a method within a content")
                (key,) = method_key.unpack_from(data, start)
                start += 4
                if key not in WITH_CONTENT:
                    channel.method_arrived(key, data, start, end)
                    continue
                content = self._whole_content(channel_id, data, offset)
                if content is None:
                    begun = assemblies[channel_id] = _Assembly(key, data[start:end])
                    self.held += begun.held
                else:
                    encoded_properties, body, offset = content
                    channel.content_arrived(key, data, start, end, encoded_properties, body)
            elif kind == HEADER:
                self._header(channel, channel_id, data, start, end)
            elif kind == BODY:
                self._body(channel, channel_id, data[start:end])
            elif length or channel_id:
                raise FrameError(501, f"a heartbeat of {length} bytes on channel {channel_id}")
        self._wanted = frame_head.size
        return offset

    def _whole_content(self, channel_id: int, data: bytes, offset: int) -> tuple[bytes, bytes, int] | None:
        """Return properties and body of a content whose header and only body frame are there, and where they end.

        Return ``None`` for all else, right or wrong: it is read frame by frame.
        """
        size = len(data)
        if size - offset < content_header.size:
            return None
        kind, header_channel, length, class_id, _, body_size = content_header.unpack_from(data, offset)
        body = offset + frame_head.size + length + next_head.size
        end = body + body_size
        if (
            kind == HEADER
            and header_channel == channel_id
            and class_id == BASIC
            and 14 <= length <= self.max_payload
            and 0 < body_size <= self.max_payload
            and body_size <= self.max_content
            and end < size
            and data[end] == END
            and next_head.unpack_from(data, body - next_head.size) == (END, BODY, channel_id, body_size)
        ):
            return data[offset + content_header.size : body - next_head.size], data[body:end], end + 1
        return None

    def _header(self, channel: Receiver, channel_id: int, data: bytes, start: int, end: int) -> None:
        content = self._assemblies.get(channel_id)
        if content is None or content.left >= 0:
            raise FrameError(505, "a content header without its method")
        if end - start < 14:
            raise FrameError(502, "a content header that ends within its size or flags")
        if int.from_bytes(data[start : start + 2], "big") != BASIC:
            raise FrameError(505, "a content header of another class than its method")
        content.size = content.left = int.from_bytes(data[start + 4 : start + 12], "big")
        content.encoded_properties = data[start + 12 : end]
        self._hold(content, len(content.encoded_properties))
        if content.left == 0:
            self._complete(channel, channel_id, content)

    def _body(self, channel: Receiver, channel_id: int, chunk: bytes) -> None:
        content = self._assemblies.get(channel_id)
        if content is None or content.left < 0:
            raise FrameError(505, "a content body without its header")
        content.left -= len(chunk)
        if content.left < 0:
            raise FrameError(501, "a body longer than its header says")
        if content.size <= self.max_content:
            content.chunks.append(chunk)
            self._hold(content, len(chunk))
        elif self._too_large is None:
            begin = content.size - content.left - len(chunk)
            if begin < HEAD_KEPT:
                chunk = chunk[: HEAD_KEPT - begin]
                content.chunks.append(chunk)
                self._hold(content, len(chunk))
        if content.left == 0:
            self._complete(channel, channel_id, content)

    def _hold(self, content: _Assembly, size: int) -> None:
        content.held += size
        self.held += size

    def _complete(self, channel: Receiver, channel_id: int, content: _Assembly) -> None:
        del self._assemblies[channel_id]
        self.held -= content.held
        arguments, body = content.arguments, b"".join(content.chunks)
        if content.size > self.max_content:
            if self._too_large is not None:
                self._too_large(channel_id, content.size)
                return
            body = CutBody.of(body, content.size)
        channel.content_arrived(content.key, arguments, 0, len(arguments), content.encoded_properties, body)
