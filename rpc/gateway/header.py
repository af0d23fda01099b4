"""THeader: frames with a head of their own: protocol, transforms and metadata (Thrift, "HeaderFormat.md").

Thrift's ``THeaderTransport`` reads and writes them. It gets one frame at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from thrift.Thrift import TApplicationException
from thrift.transport.THeaderTransport import (
    HARD_MAX_FRAME_SIZE,
    THeaderClientType,
    THeaderSubprotocolID,
    THeaderTransport,
)
from thrift.transport.TTransport import TMemoryBuffer, TTransportException

from rpc.envelope import CODECS
from rpc.errors import InvalidRequest, MalformedMessage
from rpc.gateway.answers import error_text, exception
from rpc.gateway.deadline import HEADER, requested_timeout

MAGIC: Final = b"\x0f\xff"
"""The first bytes of such a frame."""

_PROTOCOLS: Final = {THeaderSubprotocolID.BINARY: "binary", THeaderSubprotocolID.COMPACT: "compact"}

_LENGTH: Final = struct.Struct("!i")


LONGEST_HEADER: Final = 16384
"""Bytes of a frame's head. Thrift reads the numbers in it one by one."""

_FIXED: Final = struct.Struct("!HHiH")
"""Magic, flags, sequence number, and the length of the head behind them, in words of four bytes."""


class _OneHead(THeaderTransport):
    """Reads the head of one frame, and undoes the transform that it names.

    It does not get the payload to read: Thrift does not check that the lists of a head end in it. Without the check
    here, it would undo any number of transforms, each of which may take as long as a whole message.

    :ivar message: the payload without its transform.
    """

    def __init__(self, head: bytes, payload: bytes, most: int) -> None:
        super().__init__(TMemoryBuffer(_LENGTH.pack(len(head)) + head), (THeaderClientType.HEADERS,))
        self.set_max_frame_size(HARD_MAX_FRAME_SIZE - 1)
        self.set_max_decompressed_size(most)
        self.message = payload
        self._has_transformed = False

    def _apply_read_transform(self, transform_id: int, payload: bytes) -> bytes:
        if self._has_transformed:
            raise TTransportException(TTransportException.SIZE_LIMIT, "more than one transform")
        self._has_transformed = True
        self.message = super()._apply_read_transform(transform_id, self.message)
        return payload


class HeaderFrame:
    """A frame of THeader, and the way to answer it.

    :ivar message: the Thrift message in it; ``b""`` when there is an :attr:`answer`.
    :ivar protocol: of the message.
    :ivar timeout: the seconds that the client asks for.
    :ivar answer: the answer for a frame with an unknown transform or protocol, or a wrong header; not framed yet.
    """

    def __init__(self, frame: bytes, most: int) -> None:
        """
        :param most: bytes of the message, after its transform has been undone.
        :raises MalformedMessage: it is no such frame, or its message is over `most`.
        """
        if len(frame) < _FIXED.size:
            raise MalformedMessage("not a frame of THeader: it is too short")
        size = 4 * _FIXED.unpack_from(frame)[3]
        if size > LONGEST_HEADER:
            raise MalformedMessage(f"not a frame of THeader: a head of {size} bytes")
        end = _FIXED.size + size
        self._transport = _OneHead(frame[:end], frame[end:], most)
        self.message = b""
        self.protocol = "binary"
        self.timeout: float | None = None
        self.answer: bytes | None = None
        try:
            self._transport.readFrame(0)
        except TApplicationException as error:  # the transform is unknown
            self._refuse(error.type, error.message or "")
        except Exception as error:  # Thrift and zlib raise errors of many classes
            raise MalformedMessage(f"not a frame of THeader: {type(error).__name__}: {str(error)[:200]}") from error
        else:
            self._take(self._transport.protocol_id, self._transport.get_headers())

    def _take(self, protocol_id: int, headers: Mapping[bytes, bytes]) -> None:
        protocol = _PROTOCOLS.get(protocol_id)
        if protocol is None:
            self._refuse(TApplicationException.INVALID_PROTOCOL, f"THeader's protocol {protocol_id} is unknown")
            return
        self.protocol = protocol
        try:
            self.timeout = requested_timeout(headers.get(HEADER))
        except InvalidRequest as error:
            self._refuse(TApplicationException.PROTOCOL_ERROR, error_text(error))
            return
        self.message, self._transport.message = self._transport.message, b""

    def _refuse(self, kind: int, text: str) -> None:
        """Answer in binary. Thrift's clients take the protocol of an answer from its frame."""
        self.protocol = "binary"
        self._transport._protocol_id = THeaderSubprotocolID.BINARY  # noqa: SLF001  # there is no setter
        self.answer = exception(CODECS["binary"], "", self._transport.sequence_id, kind, text)

    def wrap(self, answer: bytes) -> bytes:
        """Return the frame of an answer, with its length: in the same protocol, with the frame's sequence number."""
        framed = TMemoryBuffer()
        self._transport._transport = framed  # noqa: SLF001  # it writes where it reads from, otherwise
        self._transport.write(answer)
        self._transport.flush()
        return framed.getvalue()
