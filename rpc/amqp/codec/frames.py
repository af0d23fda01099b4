"""Frames and their parts: numbers, layouts, and packing (AMQP 0-9-1, sections 4.2.2, 4.2.3 and 4.2.6)."""

from __future__ import annotations

from struct import Struct

from rpc.errors import FrameError, VersionRefused

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
"""The first bytes of a connection (AMQP 0-9-1, section 4.2.2)."""

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
KINDS = frozenset((METHOD, HEADER, BODY, HEARTBEAT))
"""All kinds of frames."""

TLS_ALERT = 0x15
"""The first byte of an alert (RFC 8446, section 5.1), with which a server of TLS refuses AMQP."""

END = 0xCE
FRAME_END = bytes((END,))

BASIC = 60
PUBLISH = BASIC << 16 | 40
RETURN = BASIC << 16 | 50
DELIVER = BASIC << 16 | 60
GET_OK = BASIC << 16 | 71
ACK = BASIC << 16 | 80
REJECT = BASIC << 16 | 90
NACK = BASIC << 16 | 120
WITH_CONTENT = frozenset((PUBLISH, RETURN, DELIVER, GET_OK))
"""The methods that a content follows. Methods are known by class id and method id in one number."""

FRAME_OVERHEAD = 8
"""Bytes of a frame that are not its payload: its head, and the end octet."""

SMALLEST_FRAME_MAX = 4096
"""Bytes of a frame that every peer takes (AMQP 0-9-1, section 4.2.3: frame-min-size)."""

LARGEST_PAYLOAD_BEFORE_TUNE = 8192 - FRAME_OVERHEAD

UNLIMITED = 2**64
"""More than any body size: the header has 64 bits for it."""

frame_head = Struct(">BHI")  # type, channel, bytes of the payload
method_key = Struct(">I")  # class and method, as in DELIVER
content_header = Struct(">BHIHHQ")  # the frame's head, class, weight, size of the body
next_head = Struct(">BBHI")  # the end of a frame, and the head of the next


def method_frame(channel_id: int, payload: bytes) -> bytes:
    """Return the frame of a method."""
    return frame_head.pack(METHOD, channel_id, len(payload)) + payload + FRAME_END


def content_parts(channel_id: int, properties: bytes, body: bytes, limit: int) -> list[bytes]:
    """Return the parts of a content's frames: one header frame, and the frames of the body.

    :param limit: bytes of a frame's payload, at most.
    """
    size = len(body)
    parts = [content_header.pack(HEADER, channel_id, 12 + len(properties), BASIC, 0, size), properties]
    if 0 < size <= limit:
        parts += (next_head.pack(END, BODY, channel_id, size), body)
    else:
        for begin in range(0, size, limit):
            chunk = body[begin : begin + limit]
            parts += (next_head.pack(END, BODY, channel_id, len(chunk)), chunk)
    parts.append(FRAME_END)
    return parts


def refuse_other_protocols(answer: bytes, ours: str = "AMQP 0-9-1") -> None:
    """Raise when the other end does not speak our version of AMQP.

    :param answer: the bytes of the other end that should be a frame, or the start of one.
    :param ours: the name of our version.
    :raises VersionRefused: they begin as the answer to another version of AMQP.
    :raises FrameError: they begin as no frame does.
    """
    if answer.startswith(b"AMQP"):
        dropped = ". RabbitMQ 4.0 and later do not speak AMQP 0-8: leave spec= out" if ours == "AMQP 0-8" else ""
        raise VersionRefused(
            501, f"the broker speaks another version of AMQP: it answers {answer[:8]!r}, not {ours}{dropped}"
        )
    if answer and answer[0] == TLS_ALERT:
        raise FrameError(501, "the server wants TLS on this port: write amqps instead of amqp in the URL")
    if answer and answer[0] not in KINDS and not b"AMQP".startswith(answer):
        raise FrameError(501, f"this is not an AMQP broker: it answers {answer[:16]!r}")
