"""Short strings and field tables: RabbitMQ's bytes, round trips, and nothing but CodecError for the rest."""

from __future__ import annotations

import contextlib
import decimal
import math
import struct
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.fields import (
    MAX_DEPTH,
    LateTimestamp,
    LongLong,
    TableView,
    decode_field,
    decode_short_string,
    decode_table,
    encode_field,
    encode_short_string,
    encode_table,
    join_table,
    split_table,
)
from rpc.errors import CodecError

# Every value a header may have that comes back equal: text that is UTF-8, ints of 64 bits, whole seconds.
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(timezone.utc)).map(
        lambda moment: moment.replace(microsecond=0)
    )
    | st.builds(
        lambda mantissa, scale: decimal.Decimal(mantissa).scaleb(-scale),
        st.integers(-(2**31), 2**31 - 1),
        st.integers(0, 255),
    )
)
short_text = st.text(max_size=60)

# The bytes of fields of each type, as peers may write them. RabbitMQ takes no NaN.
fixed_fields = st.one_of(
    *(
        st.builds(lambda kind, content: kind + content, st.just(kind), st.binary(min_size=size, max_size=size))
        for kind, size in zip(
            (b"t", b"b", b"B", b"s", b"u", b"I", b"i", b"l", b"L", b"D", b"T"),
            (1, 1, 1, 2, 2, 4, 4, 8, 8, 5, 8),
            strict=True,
        )
    )
) | st.builds(lambda number: b"d" + struct.pack("!d", number), st.floats(allow_nan=False))
counted_fields = st.builds(
    lambda kind, content: kind + struct.pack("!L", len(content)) + content, st.sampled_from((b"S", b"x")), st.binary()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(short_text, inner, max_size=4), max_leaves=12
)
tables = st.dictionaries(short_text, values, max_size=6)


def table_of(kind: bytes, content: bytes) -> bytes:
    """The bytes of a table with one field, called a."""
    field = b"\x01a" + kind + content
    return struct.pack("!L", len(field)) + field


EVERY_TYPE: list[tuple[bytes, bytes, object]] = [
    (b"t", b"\x01", True),
    (b"t", b"\x00", False),
    (b"b", b"\xff", -1),
    (b"B", b"\xff", 255),
    (b"s", b"\xff\xfe", -2),
    (b"u", b"\xff\xfe", 65534),
    (b"I", b"\xff\xff\xff\xff", -1),
    (b"i", b"\xff\xff\xff\xff", 2**32 - 1),
    (b"l", b"\xff" * 8, -1),
    (b"L", b"\xff" * 8, -1),
    (b"f", b"\x3f\xc0\x00\x00", 1.5),
    (b"d", b"\x3f\xf8" + bytes(6), 1.5),
    (b"D", b"\x02\x00\x00\x01\x3a", decimal.Decimal("3.14")),
    (b"D", b"\x02\xff\xff\xfe\xc6", decimal.Decimal("-3.14")),
    (b"S", b"\x00\x00\x00\x02\xc3\xa9", "é"),
    (b"S", b"\x00\x00\x00\x02\xff\xfe", b"\xff\xfe"),
    (b"A", b"\x00\x00\x00\x03V" + b"t\x01", [None, True]),
    (b"A", b"\x00\x00\x00\x00", []),
    (b"T", b"\x00\x00\x00\x00\x00\x00\x00\x3c", datetime(1970, 1, 1, 0, 1, tzinfo=timezone.utc)),
    (b"T", b"\x00\x00\x01\x8b\xcf\xe5\x68\x00", LateTimestamp(0x018BCFE56800)),
    (b"F", b"\x00\x00\x00\x04\x01b" + b"t\x00", {"b": False}),
    (b"V", b"", None),
    (b"x", b"\x00\x00\x00\x02\xff\x00", b"\xff\x00"),
]

WRITTEN_AS: list[tuple[object, bytes]] = [
    (True, b"t\x01"),
    (False, b"t\x00"),
    (-1, b"I\xff\xff\xff\xff"),
    (2**31 - 1, b"I\x7f\xff\xff\xff"),
    (2**31, b"l\x00\x00\x00\x00\x80\x00\x00\x00"),
    (-(2**31) - 1, b"l\xff\xff\xff\xff\x7f\xff\xff\xff"),
    (1.5, b"d\x3f\xf8" + bytes(6)),
    ("é", b"S\x00\x00\x00\x02\xc3\xa9"),
    (b"\xff", b"x\x00\x00\x00\x01\xff"),
    (bytearray(b"\xff"), b"x\x00\x00\x00\x01\xff"),
    (None, b"V"),
    ([1, "a"], b"A\x00\x00\x00\x0bI\x00\x00\x00\x01S\x00\x00\x00\x01a"),
    ((None,), b"A\x00\x00\x00\x01V"),
    ({"b": None}, b"F\x00\x00\x00\x03\x01bV"),
    (decimal.Decimal("-3.14"), b"D\x02\xff\xff\xfe\xc6"),
    (decimal.Decimal("2E+3"), b"D\x00\x00\x00\x07\xd0"),
    (datetime(1970, 1, 1, 1, 1, 0, 999999, timezone(timedelta(hours=1))), b"T" + bytes(7) + b"\x3c"),
]


class ShortStringTests(SynchronousTestCase):
    """Names and short properties."""

    def test_counts_the_length_in_bytes(self) -> None:
        """An accented letter takes two bytes and its length says so (txAMQP counts one and the broker hangs up)."""
        self.assertEqual(encode_short_string("é"), b"\x02\xc3\xa9")
        self.assertEqual(encode_short_string(b"\xff"), b"\x01\xff")
        self.assertEqual(encode_short_string(""), b"\x00")

    def test_takes_255_bytes_and_no_more(self) -> None:
        """The limit is 255 bytes, not characters; the error shows how the value starts."""
        self.assertEqual(len(encode_short_string("a" * 255)), 256)
        error = self.assertRaises(CodecError, encode_short_string, "é" * 128)
        self.assertIn("éééé", str(error))
        self.assertIn("256", str(error))
        self.assertLess(len(str(error)), 150)

    @given(st.binary(max_size=255), st.binary(max_size=4), st.binary(max_size=4))
    def test_keeps_any_bytes(self, data: bytes, before: bytes, after: bytes) -> None:
        """Bytes that are not UTF-8 come back the same, at any offset."""
        buffer = before + bytes([len(data)]) + data + after
        for view in (buffer, bytearray(buffer), memoryview(buffer)):
            text, end = decode_short_string(view, len(before))
            self.assertEqual(end, len(before) + 1 + len(data))
            self.assertEqual(encode_short_string(text), bytes([len(data)]) + data)

    def test_refuses_a_truncated_string(self) -> None:
        """A string cut anywhere is refused, and so is an offset outside the buffer."""
        for size in range(4):
            self.assertRaises(CodecError, decode_short_string, b"\x03abc"[:size], 0)
        self.assertRaises(CodecError, decode_short_string, b"\x00", -1)
        self.assertRaises(CodecError, decode_short_string, b"\x00", 7)

    def test_refuses_values_that_are_no_strings(self) -> None:
        """A number, None or a surrogate that stands for no byte is refused."""
        for value in (7, None, 1.5, ["a"], "\ud800"):
            self.assertRaises(CodecError, encode_short_string, value)


class TableTests(SynchronousTestCase):
    """Field tables, both ways."""

    def test_reads_every_type_of_rabbitmq(self) -> None:
        """All nineteen types decode, signed and unsigned as RabbitMQ has them."""
        for kind, content, value in EVERY_TYPE:
            data = table_of(kind, content)
            self.assertEqual(decode_table(b"__" + data + b"__", 2), ({"a": value}, 2 + len(data)), (kind, content))
            self.assertIs(type(decode_table(data, 0)[0]["a"]), type(value))

    def test_writes_each_python_type(self) -> None:
        """Each Python type has its AMQP type; an int takes the smaller that fits."""
        for value, expected in WRITTEN_AS:
            self.assertEqual(encode_table({"a": value}), table_of(expected[:1], expected[1:]), value)

    def test_writes_an_empty_table(self) -> None:
        """An empty table is its length, zero."""
        self.assertEqual(encode_table({}), bytes(4))
        self.assertEqual(decode_table(bytes(4), 0), ({}, 4))

    def test_reads_an_x_death_header(self) -> None:
        """The header of a dead-lettered message (array, table, time, number) decodes instead of ending the link."""
        death = {"count": 2, "time": datetime(2024, 5, 1, tzinfo=timezone.utc), "routing-keys": ["rpc"], "queue": "q"}
        table, _ = decode_table(encode_table({"x-death": [death], "x-delivery-count": 3}), 0)
        self.assertEqual(table, {"x-death": [death], "x-delivery-count": 3})

    @given(tables)
    def test_reads_back_equal_values(self, table: dict[str, Any]) -> None:
        """Written values are read back equal and of the same type, from every kind of buffer."""
        data = encode_table(table)
        for buffer in (data, bytearray(data), memoryview(data)):
            self.assertEqual(decode_table(buffer, 0), (table, len(data)))

    @given(fixed_fields | counted_fields)
    def test_whatever_was_decoded_can_be_encoded(self, field: bytes) -> None:
        """Nested calls send the metadata of the call on, and a reply may return it."""
        value = decode_table(table_of(field[:1], field[1:]), 0)[0]["a"]
        again = decode_table(table_of(b"", encode_field(value)), 0)[0]["a"]
        self.assertEqual((again, type(again)), (value, type(value)))

    def test_a_timestamp_past_the_year_9999_stays_a_timestamp(self) -> None:
        """Also one that is larger than a signed number of 64 bits."""
        for seconds in (0x018BCFE56800, 2**63, 2**64 - 1):
            field = b"T" + struct.pack("!Q", seconds)
            value = decode_table(table_of(b"", field), 0)[0]["a"]
            self.assertEqual((value, encode_field(value)), (seconds, field))

    def test_writes_infinities_but_not_nan(self) -> None:
        """RabbitMQ closes a connection that sends NaN."""
        table, _ = decode_table(encode_table({"a": math.inf}), 0)
        self.assertEqual(table["a"], math.inf)
        with self.assertRaises(CodecError):
            encode_table({"b": math.nan})

    def test_last_of_equal_keys_counts(self) -> None:
        """Of two fields with one name the last counts."""
        self.assertEqual(decode_table(b"\x00\x00\x00\x08\x01at\x00\x01at\x01", 0), ({"a": True}, 12))

    def test_refuses_values_without_an_amqp_type(self) -> None:
        """The message names the field."""
        loop: dict[str, Any] = {}
        loop["again"] = loop
        circle: list[Any] = []
        circle.append(circle)
        refused: list[Any] = [
            *(object(), {1}, 3 + 4j, 2**63, -(2**63) - 1, 10**5000, "\ud800", {7: "x"}, {"é" * 128: 1}, loop, circle),
            *(datetime(2024, 1, 1), datetime(1969, 1, 1, tzinfo=timezone.utc), [object()], {"a": {"b": object()}}),
            *map(decimal.Decimal, ("NaN", "sNaN", "Infinity", "1E+999999", "1E-256", "2147483648", "0.12345678901")),
        ]
        for value in refused:
            error = self.assertRaises(CodecError, encode_table, {"culprit": value})
            self.assertIn("culprit", str(error))
            self.assertLess(len(str(error)), 250)

    def test_refuses_objects_that_are_no_table(self) -> None:
        """Something that is no mapping, or has a key that is no text, is refused."""
        no_tables: list[Any] = [None, [], "text", 7, {b"a": 1}, {None: 1}]
        for value in no_tables:
            self.assertRaises(CodecError, encode_table, value)

    def test_writes_surrogates_as_the_bytes_they_stand_for(self) -> None:
        """Text that came from a short string of any bytes can be put into a header; it comes back as those bytes."""
        text, _ = decode_short_string(b"\x01\xff", 0)
        self.assertEqual(decode_table(encode_table({"id": text}), 0)[0], {"id": b"\xff"})

    def test_bounds_the_nesting_of_tables_and_arrays(self) -> None:
        """Nesting is bounded alike both ways, in tables, arrays and both mixed."""
        for wrap in (lambda inner: {"a": inner}, lambda inner: [inner]):
            value: Any = None
            for _ in range(MAX_DEPTH - 1):
                value = wrap(value)
            data = encode_table({"a": value})
            self.assertEqual(decode_table(data, 0)[0], {"a": value})
            self.assertRaises(CodecError, encode_table, {"a": wrap(value)})
            kind = b"F" if isinstance(value, dict) else b"A"
            inner = table_of(b"F", data) if kind == b"F" else data
            if kind == b"A":
                array = data[6 + 1 :]  # behind length, name and type: length and content of the outermost array
                inner = table_of(b"A", struct.pack("!L", len(array) + 1) + b"A" + array)
            self.assertRaises(CodecError, decode_table, inner, 0)

    def test_refuses_deep_bytes_without_recursing(self) -> None:
        """A megabyte of opening brackets is refused, not a RecursionError."""
        content = b""
        for _ in range(3000):
            content = b"A" + struct.pack("!L", len(content)) + content
        self.assertRaises(CodecError, decode_table, table_of(content[:1], content[1:]), 0)

    def test_leaves_the_callers_table_alone(self) -> None:
        """Encoding neither changes nor keeps its argument; decoding copies out of the buffer."""
        inner = {"b": [1, 2]}
        table: Mapping[str, Any] = {"a": inner, "c": bytearray(b"xy")}
        encode_table(table)
        self.assertEqual(table, {"a": {"b": [1, 2]}, "c": bytearray(b"xy")})
        self.assertIs(table["a"], inner)
        buffer = bytearray(table_of(b"x", b"\x00\x00\x00\x02xy"))
        decoded, _ = decode_table(memoryview(buffer), 0)
        buffer[:] = bytes(len(buffer))
        self.assertEqual(decoded, {"a": b"xy"})

    @given(st.binary(max_size=80))
    def test_decodes_any_bytes_or_raises_codec_error(self, data: bytes) -> None:
        """Any bytes give a table within them, or CodecError."""
        for buffer in (data, struct.pack("!L", len(data)) + data):
            try:
                table, end = decode_table(buffer, 0)
            except CodecError:
                continue
            self.assertIsInstance(table, dict)
            self.assertLessEqual(end, len(buffer))

    @given(tables)
    def test_refuses_a_truncated_table(self, table: dict[str, Any]) -> None:
        """A table cut at any byte is refused; the bytes behind it are not read."""
        data = encode_table(table)
        for size in range(len(data)):
            self.assertRaises(CodecError, decode_table, data[:size], 0)
        self.assertEqual(decode_table(data + b"more", 0), (table, len(data)))
        self.assertRaises(CodecError, decode_table, data, -1)
        self.assertRaises(CodecError, decode_table, data, len(data))

    def test_refuses_fields_past_their_table(self) -> None:
        """A field that reaches past its table is refused even where the buffer goes on."""
        for kind, content, _ in EVERY_TYPE:
            data = table_of(kind, content)
            for size in range(1, len(data) - 4):
                short = struct.pack("!L", size) + data[4:] + bytes(300)
                self.assertRaises(CodecError, decode_table, short, 0)

    def test_refuses_unknown_types(self) -> None:
        """Every octet that is no type is refused."""
        known = {kind for kind, _, _ in EVERY_TYPE}
        for octet in range(256):
            if bytes([octet]) not in known:
                self.assertRaises(CodecError, decode_table, table_of(bytes([octet]), bytes(16)), 0)


class PartsTests(SynchronousTestCase):
    """Tables taken apart, and put together again."""

    @given(tables)
    def test_splits_and_joins_a_table(self, table: dict[str, Any]) -> None:
        """Each field is the same as encoded alone, in order, and joined they are the table."""
        data = encode_table(table)
        fields = split_table(data)
        self.assertEqual([*fields.items()], [(name, encode_field(value)) for name, value in table.items()])
        self.assertEqual(join_table(fields), data)

    def test_keeps_types_that_are_not_written_here(self) -> None:
        """Every type that RabbitMQ speaks keeps its bytes."""
        for kind, content, _ in EVERY_TYPE:
            data = table_of(kind, content)
            self.assertEqual(split_table(data), {"a": kind + content})
            self.assertEqual(join_table(split_table(data)), data)

    def test_changes_one_field_and_keeps_the_others(self) -> None:
        """A field that is changed leaves the others to the byte."""
        fields = split_table(b"\x00\x00\x00\x0a\x01af\x3f\xc0\x00\x00\x01bV")
        table = join_table({**fields, "b": encode_field("new")})
        self.assertEqual(table, b"\x00\x00\x00\x11\x01af\x3f\xc0\x00\x00\x01bS\x00\x00\x00\x03new")

    def test_keeps_names_of_any_bytes(self) -> None:
        """A name may be of any bytes, and is 255 of them at most; of equal ones the last counts."""
        data = b"\x00\x00\x00\x03\x01\xffV"
        self.assertEqual(split_table(data), {"\udcff": b"V"})
        self.assertEqual(join_table(split_table(data)), data)
        self.assertEqual(split_table(b"\x00\x00\x00\x08\x01at\x00\x01at\x01"), {"a": b"t\x01"})
        self.assertRaises(CodecError, join_table, {"a" * 256: b"V"})

    @given(st.binary(max_size=80))
    def test_splits_all_tables_that_decode(self, data: bytes) -> None:
        """With the same names. Other bytes raise CodecError, or the decoding of a field does."""
        for buffer in (data, struct.pack("!L", len(data)) + data):
            try:
                fields = split_table(buffer)
            except CodecError:
                self.assertRaises(CodecError, decode_table, buffer, 0)
                continue
            try:
                decoded = {name: decode_field(field) for name, field in fields.items()}
            except CodecError:
                self.assertRaises(CodecError, decode_table, buffer, 0)
                continue
            self.assertEqual(repr(dict(TableView(buffer))), repr(decoded))
            with contextlib.suppress(CodecError):  # the last of equal names counts, but all must decode
                self.assertEqual(repr(decode_table(buffer, 0)[0]), repr(decoded))

    def test_splitting_does_not_look_into_values(self) -> None:
        """They may be malformed, or many. A view decodes those that are read."""
        fields = {"a": b"A\x00\x00\x00\x01?", "b": b"I\x00\x00\x00\x05"}
        table = join_table(fields)
        self.assertEqual(split_table(table), fields)
        view = TableView(table)
        self.assertEqual((view["b"], "a" in view, [*view], len(view)), (5, True, ["a", "b"], 2))
        self.assertRaises(CodecError, view.__getitem__, "a")
        self.assertRaises(KeyError, view.__getitem__, "c")
        self.assertIsNone(view.get("c"))

    @given(tables)
    def test_refuses_to_split_a_truncated_table(self, table: dict[str, Any]) -> None:
        """A table that is cut at any byte is refused."""
        data = encode_table(table)
        for size in range(len(data)):
            self.assertRaises(CodecError, split_table, data[:size])

    def test_bounds_the_nesting_of_a_field(self) -> None:
        """A field may be as deep as in a table, and no deeper."""
        value: Any = None
        for _ in range(MAX_DEPTH - 1):
            value = [value]
        self.assertEqual(join_table({"a": encode_field(value)}), encode_table({"a": value}))
        self.assertRaises(CodecError, encode_field, [value])
        self.assertRaises(CodecError, encode_field, object())

    @given(st.integers(-(2**63), 2**63 - 1))
    def test_writes_a_long_long_in_64_bits(self, number: int) -> None:
        """It takes 64 bits in any place, and is read back as the number."""
        data = b"l" + struct.pack("!q", number)
        self.assertEqual(encode_field(LongLong(number)), data)
        self.assertEqual(decode_table(encode_table({"a": [{"b": LongLong(number)}]}), 0)[0], {"a": [{"b": number}]})
        self.assertIn(data, encode_table({"a": [{"b": LongLong(number)}]}))

    def test_refuses_a_number_of_over_64_bits(self) -> None:
        """A number of over 64 bits has no form."""
        for number in (2**63, -(2**63) - 1):
            self.assertRaises(CodecError, encode_field, LongLong(number))
