"""Message properties: the standard's bytes, round trips, templates equal to the plain encoder."""

from __future__ import annotations

from typing import Any

import attrs
import pika.spec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.fields import encode_short_string, encode_table
from rpc.amqp.codec.properties import (
    ALL_ABSENT,
    CORRELATION_ID,
    TYPE,
    PropertyTemplate,
    decode_properties,
    encode_properties,
    join_properties,
    split_properties,
)
from rpc.amqp.codec.spec import load_spec
from rpc.errors import CodecError
from rpc.messages import Properties

NAMES = tuple(attribute.name for attribute in attrs.fields(Properties))
OTHERS = {"headers", "delivery_mode", "priority", "timestamp"}
SHORT_STRINGS = tuple(name for name in NAMES if name not in OTHERS)

short_strings = st.binary(max_size=255).map(lambda data: data.decode("utf-8", "surrogateescape"))
all_properties = st.builds(
    Properties,
    **{name: st.none() | short_strings for name in SHORT_STRINGS},
    headers=st.none() | st.dictionaries(st.text(max_size=20), st.integers(0, 9) | st.text() | st.none(), max_size=3),
    delivery_mode=st.none() | st.integers(0, 255),
    priority=st.none() | st.integers(0, 255),
    timestamp=st.none() | st.integers(0, 2**64 - 1),
)

EVERY_PROPERTY = Properties(
    content_type="a",
    content_encoding="b",
    headers={"h": True},
    delivery_mode=2,
    priority=9,
    correlation_id="c",
    reply_to="d",
    expiration="5",
    message_id="e",
    timestamp=258,
    type="f",
    user_id="g",
    app_id="h",
    cluster_id="i",
)
EVERY_PROPERTY_BYTES = (
    b"\xff\xfc\x01a\x01b"
    b"\x00\x00\x00\x04\x01ht\x01"
    b"\x02\x09\x01c\x01d\x015\x01e\x00\x00\x00\x00\x00\x00\x01\x02\x01f\x01g\x01h\x01i"
)


class PropertiesTests(SynchronousTestCase):
    """encode_properties and decode_properties."""

    def test_encodes_as_the_specification_does(self) -> None:
        """All fourteen properties, and none, are written and read as section 4.2.6.1 says."""
        for properties, data in ((EVERY_PROPERTY, EVERY_PROPERTY_BYTES), (Properties(), b"\x00\x00")):
            self.assertEqual(encode_properties(properties), data)
            self.assertEqual(decode_properties(data), properties)

    def test_has_order_and_types_of_the_specification(self) -> None:
        """The attributes of Properties stand in the order of the XML, and have its types."""
        fields = load_spec().classes.byname["basic"].fields
        self.assertEqual([field.name.replace("-", "_") for field in fields], list(NAMES))
        kinds = {field.name.replace("-", "_") for field in fields if field.type == "shortstr"}
        self.assertEqual(kinds, set(SHORT_STRINGS))

    def test_encodes_as_pika_does(self) -> None:
        """Each property alone has the bytes that pika gives it."""
        for name in NAMES:
            value = getattr(EVERY_PROPERTY, name)
            theirs = b"".join(pika.spec.BasicProperties(**{name: value}).encode())
            self.assertEqual(encode_properties(Properties(**{name: value})), theirs, name)

    @given(all_properties)
    def test_decodes_what_it_encodes(self, properties: Properties) -> None:
        """Written properties are read back equal, with any bytes in their strings."""
        self.assertEqual(decode_properties(encode_properties(properties)), properties)

    def test_splits_into_parts(self) -> None:
        """Each part is in its place, as it was written. The parts of a message without any cannot be changed."""
        self.assertEqual(tuple(split_properties(b"\x00\x00")), ALL_ABSENT)
        parts = split_properties(encode_properties(EVERY_PROPERTY))
        self.assertEqual(b"".join(part or b"" for part in parts), EVERY_PROPERTY_BYTES[2:])
        self.assertEqual((parts[CORRELATION_ID], parts[TYPE]), (b"\x01c", b"\x01f"))
        self.assertIsInstance(ALL_ABSENT, tuple)

    @given(all_properties, st.sets(st.sampled_from(range(len(NAMES)))))
    def test_splits_and_joins(self, properties: Properties, dropped: set[int]) -> None:
        """Joined parts are the same bytes; without some parts, they are the bytes of the others."""
        data = encode_properties(properties)
        parts = split_properties(data)
        self.assertEqual(join_properties(parts), data)
        fewer = [None if place in dropped else part for place, part in enumerate(parts)]
        absent = attrs.evolve(properties, **{NAMES[place]: None for place in dropped})
        self.assertEqual(join_properties(fewer), encode_properties(absent))

    def test_joins_without_empty_flags(self) -> None:
        """A further word of flags without a bit is not kept; as many parts as properties are needed."""
        self.assertEqual(join_properties(split_properties(b"\x80\x01\x00\x00\x01a")), b"\x80\x00\x01a")
        self.assertEqual(join_properties(ALL_ABSENT), b"\x00\x00")
        self.assertRaises(ValueError, join_properties, ALL_ABSENT[1:])

    def test_tells_empty_from_absent(self) -> None:
        """An empty string, an empty table and zero are values."""
        properties = Properties(content_type="", headers={}, delivery_mode=0, timestamp=0)
        self.assertEqual(decode_properties(encode_properties(properties)), properties)

    def test_counts_text_in_bytes(self) -> None:
        """An accented letter in a correlation id takes two bytes and says so."""
        self.assertEqual(encode_properties(Properties(correlation_id="é")), b"\x04\x00\x02\xc3\xa9")

    def test_refuses_values_that_do_not_fit(self) -> None:
        """A value its property cannot hold is refused before anything is sent, and the property is named."""
        no_tables: list[Any] = [[], "x", {"a": object()}, {1: 2}]
        refused: list[tuple[str, Any]] = [
            *[(name, value) for name in SHORT_STRINGS for value in ("x" * 256, 7, "\ud800")],
            *[(name, value) for name in ("delivery_mode", "priority") for value in (-1, 256, "1", 1.5)],
            *[("timestamp", value) for value in (-1, 2**64, "now", 1.5)],
            *[("headers", value) for value in no_tables],
        ]
        for name, value in refused:
            error = self.assertRaises(CodecError, encode_properties, Properties(**{name: value}))
            self.assertIn(name, str(error))
            self.assertRaises(CodecError, PropertyTemplate, Properties(**{name: value}), ())

    @given(all_properties)
    def test_refuses_truncated_and_trailing_bytes(self, properties: Properties) -> None:
        """Cut at any byte, or with a byte too many, the list is refused."""
        data = encode_properties(properties)
        for size in range(len(data)):
            self.assertRaises(CodecError, decode_properties, data[:size])
        self.assertRaises(CodecError, decode_properties, data + b"\x00")

    @given(st.binary(max_size=60))
    def test_decodes_any_bytes_or_raises_codec_error(self, data: bytes) -> None:
        """Any bytes give properties or CodecError."""
        try:
            properties = decode_properties(data)
        except CodecError:
            return
        self.assertIsInstance(properties, Properties)

    def test_reads_continued_flags(self) -> None:
        """A further word of flags is read; as class basic has no more properties, any bit in it is refused."""
        self.assertEqual(decode_properties(b"\x80\x01\x00\x00\x01a"), Properties(content_type="a"))
        self.assertEqual(decode_properties(b"\x00\x01\x00\x01\x00\x00"), Properties())
        for data in (b"\x00\x02", b"\x00\x01\x80\x00\x00", b"\x00\x01", b"\x00\x01\x00\x01"):
            self.assertRaises(CodecError, decode_properties, data)


class PropertyTemplateTests(SynchronousTestCase):
    """PropertyTemplate."""

    @given(all_properties, st.sets(st.sampled_from(["headers", *SHORT_STRINGS])))
    def test_template_encodes_as_the_plain_encoder_does(self, properties: Properties, chosen: set[str]) -> None:
        """With any fixed and variable properties, the bytes are those of encode_properties."""
        variable = tuple(name for name in NAMES if name in chosen)
        fixed = attrs.evolve(properties, **dict.fromkeys(variable))
        values: dict[str, Any] = {
            name: getattr(properties, name) or ({} if name == "headers" else "") for name in variable
        }
        template = PropertyTemplate(fixed, variable)
        expected = encode_properties(attrs.evolve(fixed, **values))
        encoded = [
            encode_table(value) if name == "headers" else encode_short_string(value) for name, value in values.items()
        ]
        for _ in range(2):
            self.assertEqual(template.encode(*encoded), expected)

    def test_refuses_properties_that_cannot_vary(self) -> None:
        """Headers and short strings that are not fixed may vary, in the wire's order, each once and by its name."""
        for variable in (
            ("priority",),
            ("reply_to", "correlation_id"),
            ("reply_to", "reply_to"),
            ("replyto",),
            ("type",),
        ):
            self.assertRaises(CodecError, PropertyTemplate, Properties(type="x"), variable)

    def test_takes_one_value_for_each_variable_property(self) -> None:
        """A template refuses more values, and fewer."""
        template = PropertyTemplate(Properties(), ("correlation_id", "reply_to"))
        for values in ((), (b"\x00",), (b"\x00",) * 3):
            self.assertRaises(CodecError, template.encode, *values)
