"""The number of values in the headers of a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec import field_decoder
from rpc.amqp.codec.field_count import count_values
from rpc.amqp.codec.fields import decode_table, encode_table
from rpc.amqp.codec.headers import MOST_READ, MOST_SENT, decode_headers, encode_headers, split_headers
from rpc.errors import CodecError

LARGE = 10**9

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)
tables = st.dictionaries(st.text(max_size=5), values, max_size=8)


def with_length(content: bytes) -> bytes:
    """A table or array with this content."""
    return len(content).to_bytes(4, "big") + content


def values_in(value: Any) -> int:
    """The values in a table or array."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(1 + values_in(each) for each in inner)


def malformed_tables() -> st.SearchStrategy[bytes]:
    """Tables with a change somewhere in them, and any bytes."""

    def changed(table: dict[str, Any], at: int, new: int) -> bytes:
        encoded = bytearray(encode_table(table))
        encoded[at % len(encoded)] = new
        return bytes(encoded)

    return st.binary(max_size=40) | st.builds(changed, tables, st.integers(0, 200), st.integers(0, 255))


def shapes(number: int) -> dict[str, bytes]:
    """Tables with so many values, which are small and costly to decode."""
    return {
        "one name": with_length(b"\x00V" * number),
        "an array": with_length(b"\x00A" + with_length(b"V" * (number - 1))),
        "names": encode_table({f"header {each}": each for each in range(number)}),
        "arrays in an array": with_length(b"\x00A" + with_length(b"A\x00\x00\x00\x00" * (number - 1))),
        "tables in an array": with_length(b"\x00A" + with_length(b"F\x00\x00\x00\x00" * (number - 1))),
        "decimals": with_length(b"\x00A" + with_length(b"D\x01\x00\x00\x00\x01" * (number - 1))),
        "two arrays": with_length(
            b"\x00A" + with_length(b"V" * (number // 2)) + b"\x00A" + with_length(b"V" * (number - 2 - number // 2))
        ),
    }


class CountTests(SynchronousTestCase):
    """count_values."""

    @given(tables)
    def test_counts_the_values_at_every_depth(self, table: dict[str, Any]) -> None:
        """As many as the decoded table has."""
        self.assertEqual(count_values(encode_table(table), LARGE), values_in(table))

    @given(malformed_tables())
    def test_decoding_meets_no_more_values_than_were_counted(self, encoded: bytes) -> None:
        """Also of a malformed table, before the place that is malformed."""
        met = 0
        decoder: Any = field_decoder
        decode: Callable[..., Any] = decoder._decode_value

        def counted(*arguments: Any) -> Any:
            nonlocal met
            met += 1
            return decode(*arguments)

        decoder._decode_value = counted
        try:
            decode_table(encoded, 0)
        except CodecError:
            pass
        finally:
            decoder._decode_value = decode
        self.assertLessEqual(met, count_values(encoded, LARGE))

    def test_stops_at_the_limit(self) -> None:
        """The rest of a large table is not looked at."""
        for name, table in shapes(1000).items():
            self.assertEqual(count_values(table, 10), 11, name)

    def test_survives_nesting_of_any_depth(self) -> None:
        """It does not recurse."""
        deep = b""
        for _ in range(2000):
            deep = b"\x01tF" + with_length(deep)
        self.assertEqual(count_values(with_length(deep), LARGE), 2000)


class LimitTests(SynchronousTestCase):
    """Reading and writing headers."""

    def test_reads_headers_up_to_the_limit(self) -> None:
        """Of every shape, decoded or split."""
        for name, table in shapes(MOST_READ).items():
            self.assertEqual(decode_headers(table), decode_table(table, 0)[0], name)
            self.assertEqual(list(split_headers(table)), list(decode_headers(table)), name)

    def test_refuses_more_without_decoding_them(self) -> None:
        """A peer must not choose how long reading takes."""
        self.patch(field_decoder, "_decode_value", None)
        for name, table in shapes(MOST_READ + 1).items():
            for read in (decode_headers, split_headers):
                error = self.assertRaises(CodecError, read, table)
                self.assertIn(f"more than {MOST_READ} values", str(error), name)

    def test_writes_headers_up_to_the_limit(self) -> None:
        """The reader takes more: brokers and workers add headers."""
        headers = {str(number): number for number in range(MOST_SENT)}
        self.assertEqual(decode_headers(encode_headers(headers)), headers)
        for more in ({**headers, "more": 1}, {"array": [None] * MOST_SENT}, {"table": headers}):
            self.assertIn(f"more than {MOST_SENT} values", str(self.assertRaises(CodecError, encode_headers, more)))
        self.assertLess(MOST_SENT + 50, MOST_READ)
