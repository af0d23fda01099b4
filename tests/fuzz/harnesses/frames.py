"""Frames of a peer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from rpc.amqp.codec.frame_reader import CutBody, FrameReader
from rpc.amqp.codec.frames import DELIVER, FRAME_END, HEADER, METHOD, content_parts, frame_head, method_frame
from rpc.amqp.codec.methods import decode_method
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.codec.spec import load_spec
from rpc.errors import FrameError
from rpc.messages import Properties

MAX_PAYLOAD = 256
MAX_CONTENT = 400

SPEC = load_spec()


class Channel:
    """Notes the events of the reader, and decodes the methods."""

    def __init__(self, number: int, events: list[Any]) -> None:
        self.number = number
        self.events = events

    def method_arrived(self, key: int, buffer: bytes, start: int, end: int) -> None:
        """Take a method."""
        self.events.append((self.number, key, buffer[start:end]))
        with suppress(FrameError):
            decode_method(SPEC, buffer[start - 4 : end])

    def content_arrived(
        self, key: int, buffer: bytes, start: int, end: int, encoded_properties: bytes, body: bytes
    ) -> None:
        """Take a content."""
        assert isinstance(body, CutBody) or len(body) <= MAX_CONTENT
        self.events.append((self.number, key, buffer[start:end], encoded_properties, body))


def read(chunks: list[bytes]) -> tuple[list[Any], int | None, int]:
    """Return the events of a reader of three channels, the code of its error, and the bytes that it holds."""
    events: list[Any] = []
    reader = FrameReader({number: Channel(number, events) for number in (0, 1, 2)})
    reader.max_payload, reader.max_content = MAX_PAYLOAD, MAX_CONTENT
    try:
        for chunk in chunks:
            reader.feed(chunk)
    except FrameError as error:
        return events, error.code, 0
    waiting = len(reader.waiting())
    assert waiting < MAX_PAYLOAD + 8
    assert 0 <= reader.held <= sum(map(len, chunks))
    return events, None, waiting + reader.held


def one(data: bytes) -> None:
    """Bytes of a peer give the same methods and contents, or the same FrameError, however the network cuts them."""
    size, data = 1 + data[0] % 64 if data else 1, data[1:]
    assert read([data]) == read([data[at : at + size] for at in range(0, len(data), size)])


def seeds() -> dict[str, bytes]:
    """Return one method, and contents in one frame, in several, and without a body."""
    start = method_frame(0, b"\x00\x0a\x00\x1e\x00\x00\x01\x00\x00\x00\x00\x0a")
    properties = encode_properties(Properties(content_type="text/plain", headers={"tenant": "acme"}))
    arguments = b"\x01c" + bytes(8) + b"\x00" + b"\x03rpc" + b"\x0eCalculator.add"
    deliver = method_frame(1, DELIVER.to_bytes(4, "big") + arguments)
    stream = {
        "method": start,
        "heartbeat": frame_head.pack(8, 0, 0) + FRAME_END,
        "content": deliver + b"".join(content_parts(1, properties, b"body" * 9, 200)),
        "content-in-frames": deliver + b"".join(content_parts(1, properties, b"body" * 9, 10)),
        "content-without-body": deliver + b"".join(content_parts(1, b"\x00\x00", b"", 10)),
        "content-too-large": deliver + b"".join(content_parts(1, properties, b"body" * 120, 200)),
        "two-contents": 2 * (deliver + b"".join(content_parts(1, properties, b"body", 200))),
        "method-in-content": deliver + deliver,
        "header-without-method": frame_head.pack(HEADER, 1, 14) + bytes(14) + FRAME_END,
        "number-cut": frame_head.pack(METHOD, 1, 2) + bytes(2) + FRAME_END,
    }
    return {name: b"\x06" + data for name, data in stream.items()}
