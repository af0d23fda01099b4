"""The beginnings of messages that the envelope writes and reads itself are those of Thrift's classes."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.envelope import CODECS
from rpc.envelope.limits import NAME_LIMIT
from rpc.envelope.protocol_codec import ProtocolCodec
from rpc.errors import MalformedMessage
from tests.unit.envelope_messages import plain_bytes

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
KINDS = st.integers(1, 4)
SEQIDS = st.integers(-(2**31), 2**31 - 1)
HEADERS = st.tuples(NAMES, KINDS, SEQIDS)


class Empty:
    """A struct that writes nothing, so a message is its beginning."""

    def write(self, protocol: Any) -> None:
        """Write nothing."""


def read_by(codec: Any, read_header: Any, body: bytes) -> Any:
    """Return the beginning of a message, or why there is none."""
    try:
        return read_header(codec, body)
    except MalformedMessage as error:
        return str(error)


class HeaderTests(SynchronousTestCase):
    """In each protocol."""

    @given(HEADERS)
    def test_are_those_of_plain_thrift(self, header: tuple[str, int, int]) -> None:
        for protocol in ("binary", "compact"):
            written = CODECS[protocol].encode_header(*header)
            self.assertEqual(written, plain_bytes(protocol, *header, Empty()))
            self.assertEqual(CODECS[protocol].read_header(written + b"rest"), (*header, len(written)))

    @given(HEADERS, st.data())
    @example(("", 1, 0), None)
    def test_what_is_malformed_is_malformed_for_thrift(self, header: tuple[str, int, int], data: Any) -> None:
        """Bytes are changed, and the end is missing. The texts of the errors are the same."""
        codec = CODECS["compact"]
        body = bytearray(codec.encode_header(*header))
        for _ in range(0 if data is None else data.draw(st.integers(0, 3))):
            body[data.draw(st.integers(0, min(len(body) - 1, 12)))] = data.draw(st.integers(0, 255))
        for size in (len(body), 0 if data is None else data.draw(st.integers(0, len(body)))):
            cut = bytes(body[:size])
            self.assertEqual(
                read_by(codec, type(codec).read_header, cut), read_by(codec, ProtocolCodec.read_header, cut)
            )

    def test_limits_of_compact_are_those_of_thrift(self) -> None:
        """Numbers of more than 32 bits, in more than five bytes, and names at the limit."""
        codec = CODECS["compact"]
        for seqid in (b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\x1f", b"\x80" * 5 + b"\0", b"\x80" * 10 + b"\0"):
            for name in (b"\1a", b"\x80\x08" + b"a" * NAME_LIMIT, b"\x81\x08" + b"a" * (NAME_LIMIT + 1)):
                body = b"\x82\x21" + seqid + name
                self.assertEqual(
                    read_by(codec, type(codec).read_header, body), read_by(codec, ProtocolCodec.read_header, body)
                )
        self.assertEqual(codec.read_header(b"\x82\x21\xff\xff\xff\xff\x0f\1a"), ("a", 1, -1, 9))
