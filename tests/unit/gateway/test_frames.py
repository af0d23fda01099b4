"""The frames in bytes, however the bytes come."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.envelope.codec import LONGEST_HEAD
from rpc.gateway.frames import LARGEST, FrameReader, TooLarge, with_length

MOST = 50


def read(*chunks: bytes, most: int = MOST) -> list[bytes | TooLarge]:
    """Return the frames in the chunks."""
    reader = FrameReader(most)
    found = []
    for chunk in chunks:
        reader.feed(chunk)
        while (frame := reader.next()) is not None:
            found.append(frame)
        assert reader.buffered <= max(most, LONGEST_HEAD) + len(chunk) + 4
    return found


class FrameTests(SynchronousTestCase):
    """FrameReader."""

    @given(st.lists(st.binary(max_size=2 * MOST)), st.lists(st.integers(min_value=0)))
    def test_chunks_make_no_difference(self, messages: list[bytes], cuts: list[int]) -> None:
        data = b"".join(map(with_length, messages))
        expected = [each if len(each) <= MOST else TooLarge(len(each), each) for each in messages]
        self.assertEqual(read(data), expected)
        self.assertEqual(read(*(data[index : index + 1] for index in range(len(data)))), expected)
        places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        chunks = [data[begin:end] for begin, end in pairwise(places)]
        self.assertEqual(read(*chunks), expected)

    def test_a_large_frame_is_known_by_its_head(self) -> None:
        """The rest is dropped."""
        length = 3 * LONGEST_HEAD
        sent = with_length(b"a" * length) + with_length(b"next")
        expected = [TooLarge(length, b"a" * LONGEST_HEAD), b"next"]
        for size in (1000, LONGEST_HEAD, len(sent)):
            self.assertEqual(read(*(sent[begin : begin + size] for begin in range(0, len(sent), size))), expected)

    def test_a_length_that_thrift_does_not_have_is_told_at_once(self) -> None:
        self.assertEqual(read(b"\xff\xff\xff\xff"), [TooLarge(0xFFFFFFFF, b"")])
        self.assertEqual(read((LARGEST + 1).to_bytes(4, "big")), [TooLarge(LARGEST + 1, b"")])
        self.assertEqual(read(LARGEST.to_bytes(4, "big")), [])

    def test_many_reads_of_a_large_frame_take_linear_time(self) -> None:
        """They are joined once: a chunk is kept as it came."""
        reader = FrameReader(10**6)
        reader.feed((10**6).to_bytes(4, "big"))
        self.assertIsNone(reader.next())
        for number in range(1, 1000):
            reader.feed(bytes(1000))
            self.assertIsNone(reader.next())
            self.assertEqual(len(reader._chunks), number)
        reader.feed(bytes(1000))
        self.assertEqual(reader.next(), bytes(10**6))
        self.assertEqual(reader.buffered, 0)
