"""Messages that would cost too much are refused before they are decoded: counted in elements, not in seconds.

``tools/decoding`` has the shapes of these messages, and measures their seconds and megabytes.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from thrift.Thrift import TApplicationException, TMessageType
from twisted.trial.unittest import SynchronousTestCase

from rpc.envelope import CODECS, MAX_ELEMENTS, NAME_LIMIT
from rpc.envelope.binary_skim import BinarySkim
from rpc.envelope.compact_skim import CompactSkim
from rpc.envelope.element_costs import MessageCost, message_cost
from rpc.envelope.json_skim import JSONSkim, parsing_elements
from rpc.envelope.skim import Skim, check_elements
from rpc.errors import MalformedMessage, TooManyElements
from rpc.generated_structs import is_accelerated
from tests.stubs import compile_stub
from tests.unit.envelope_messages import messages, read
from tools.decoding.ends import Ends
from tools.decoding.shapes import SHAPES

SIZE = 40_000
"""Bytes of each shape, about."""

FEW = 800
"""Elements that are allowed."""

OTHERWISE = {
    "unknown lists, each in the one before": "max_elements|recursion",
    "a method's name": "name|Unterminated|too early",
    "a struct that is not UTF-8": "max_elements|UTF-8|utf-8",
}
"""Shapes that may be refused for another reason, and its words."""

FEW_ELEMENTS = {"one fraction of all bytes", "fractions of 999 digits", "whole numbers of 999 digits"}
"""Shapes whose bytes are costly to keep, but not to decode."""

SKIMS: dict[str, type[Skim]] = {"binary": BinarySkim, "compact": CompactSkim}

IDL = """
struct Point { 1: i32 x, 2: i32 y }
struct Blob { 1: binary data, 2: string text }
struct Filled { 1: list<i32> numbers = [1, 2, 3], 2: map<string, Point> points = {"a": {"x": 1}}, 3: i32 x = 5 }
service Counted {
  list<i32> numbers(1: list<i32> value), list<Point> points(1: list<Point> value),
  map<i64, Point> mapped(1: map<i64, Point> value), set<string> words(1: set<string> value),
  set<Point> hashed(1: set<Point> value), list<Filled> filled(1: list<Filled> value),
  Blob blob(1: Blob value), list<bool> flags(1: list<bool> value), set<i64> distinct(1: set<i64> value),
  set<set<list<string>>> frozen(1: set<set<list<string>>> value),
}
"""


class ShapeTests(SynchronousTestCase):
    """Every shape, in its protocol, at both ends."""

    ends = Ends(FEW)

    def test_every_shape_is_refused_at_both_ends(self) -> None:
        """With the name of the option that allows more."""
        for (protocol, name), make in SHAPES.items():
            for end, body in make(SIZE).items():
                refused = self.ends.decode(end, protocol, body)
                expected = OTHERWISE.get(name, f"max_elements of {FEW}")
                self.assertRegex(refused, expected, (protocol, name, end, len(body)))

    def test_small_ones_are_decoded_at_both_ends(self) -> None:
        """The shapes are messages, so that the ones above are refused for their number of elements alone."""
        generous = Ends()
        for (protocol, name), make in SHAPES.items():
            if name not in OTHERWISE and name not in FEW_ELEMENTS:
                for end, body in make(600).items():
                    self.assertEqual(generous.decode(end, protocol, body), "", (protocol, name, end))

    def test_elements_of_one_hash_are_refused_in_every_protocol(self) -> None:
        """With the default limit, though they are few: the time for them is quadratic."""
        generous = Ends()
        for (protocol, name), make in SHAPES.items():
            if name.endswith("of one hash"):
                for end, body in make(120_000).items():
                    refused = generous.decode(end, protocol, body)
                    self.assertIn(f"max_elements of {MAX_ELEMENTS}", refused, (protocol, name, end))

    def test_counts_a_uuid_as_four_numbers(self) -> None:
        """In binary and compact, 16 bytes each: Python makes it, which takes three times as long as a number."""
        ends = Ends(10_000)
        for wire in SKIMS:
            for end in ("worker", "client"):
                accepted, refused = (
                    ends.decode(end, wire, SHAPES[wire, "list<uuid>"](count * 16 + 64)[end]) for count in (2450, 2550)
                )
                self.assertEqual((accepted, "max_elements" in refused), ("", True), (wire, end))


class CountTests(SynchronousTestCase):
    """The elements that are counted for a message."""

    stub = compile_stub(IDL, "Counted")

    def elements(self, protocol: str, method: str, value: Any) -> int:
        """Return the least ``most`` with which the message is accepted."""
        codec = CODECS[protocol]
        struct_class = getattr(self.stub, f"{method}_args")
        body = codec.encode(method, TMessageType.CALL, 1, struct_class(value))
        start = codec.read_header(body)[3]
        refused, accepted = 0, MAX_ELEMENTS
        while accepted - refused > 1:
            most = (refused + accepted) // 2
            try:
                self.assertEqual(codec.read_struct(body, start, struct_class, most=most).value, value)
                accepted = most
            except TooManyElements as error:
                self.assertEqual(str(error), f"over max_elements of {most}")
                refused = most
        return accepted

    def test_counts_values_by_their_types(self) -> None:
        """In binary and compact: arguments 9, a container 6, a struct 8 and its fields, a number 1, a string 3."""
        point = self.stub.ttypes.Point
        for protocol in SKIMS:
            for method, value, expected in (
                ("numbers", [1] * 1000, 9 + 6 + 1000),
                ("flags", [True] * 1000, 9 + 6 + 1000),
                ("points", [point(1, 2)] * 1000, 9 + 6 + 1000 * (10 + 2)),
                ("mapped", {1000: point()}, 9 + 6 + 1 + 10),
                ("words", {"a", "b"}, 9 + 6 + 2 * 3),
                ("hashed", {point(1, 2)}, 9 + 6 + (10 + 5) + 2 * (1 + 5)),
            ):
                self.assertEqual(self.elements(protocol, method, value), expected, (protocol, method))

    def test_counts_the_default_values_of_structs(self) -> None:
        """They are made for each struct, though nothing of them is sent."""
        cost = message_cost(self.stub.filled_args, in_python=False)
        filled = cost.struct.fields[1].item
        self.assertEqual(filled.each, (8 + 3) + (6 + 3) + (6 + 1 + (8 + 1)) + 1)
        self.assertEqual(cost.per_byte, filled.each)

    def test_counts_pairs_of_numbers_that_are_keys(self) -> None:
        """A peer can choose numbers that a dict compares with one another."""
        keys = {number * 1_000_003: self.stub.ttypes.Point() for number in range(4096)}
        for protocol in CODECS:
            self.assertGreater(self.elements(protocol, "mapped", keys), 4096 * 4096 // 256)

    def test_counts_pairs_of_numbers_in_sets(self) -> None:
        """Also of the last value of a message, after which nothing else is counted."""
        for protocol in CODECS:
            self.assertGreater(self.elements(protocol, "distinct", set(range(8192))), 8192 * 8192 // 2048, protocol)

    def test_counts_the_last_list_of_a_message(self) -> None:
        """Its numbers cost their parsing in JSON, and themselves."""
        body = CODECS["json"].encode("flags", TMessageType.CALL, 1, self.stub.flags_args([True] * 1000))
        parsing = parsing_elements(body, MAX_ELEMENTS)
        self.assertEqual(self.elements("json", "flags", [True] * 1000), parsing + 9 + 6 + 1000)

    def test_a_list_in_json_without_type_and_size_costs_as_an_empty_one(self) -> None:
        """It does not lower the count of the message. The reader skips the field here, which has another type."""
        codec = CODECS["json"]
        lists = ",".join(["[]"] * 1000)
        body = f'[1,"frozen",1,1,{{"1":{{"lst":["set",1,["lst",1000,{lists}]]}}}}]'.encode()
        start = codec.read_header(body)[3]
        self.assertIsNone(codec.read_struct(body, start, self.stub.frozen_args).value)
        with self.assertRaises(TooManyElements):
            codec.read_struct(body, start, self.stub.frozen_args, most=1000 * (6 + 2 * 5))

    def test_counts_text_by_its_widest_character(self) -> None:
        """Python takes four bytes for each character of a text with one that needs them; bytes stay bytes."""
        blob = self.stub.ttypes.Blob
        for protocol in SKIMS:
            plain, wide = (self.elements(protocol, "blob", blob(text=text + "a" * 40_000)) for text in ("a", "😀"))
            data = self.elements(protocol, "blob", blob(data="😀".encode() + b"a" * 40_000, text=""))
            self.assertEqual((plain // 100, wide // 100, data // 100), (20, 40, 10), protocol)

    def test_json_inside_a_text_is_text(self) -> None:
        """Only brackets, commas and colons outside of strings are values."""
        text = '{"a":[1,2,{}]},' * 1000
        few = self.elements("json", "words", {text})
        self.assertLess(few, 3000)
        self.assertGreater(self.elements("json", "words", {f"{number}" for number in range(3000)}), 5000)

    @settings(deadline=None, max_examples=100)
    @given(messages, st.integers(0, 500))
    def test_every_message_can_be_counted(self, message: tuple[str, int, int, Any], cut: int) -> None:
        """A valid one is never refused as malformed; one that ends too early always is."""
        struct_class: Any = type(message[3])
        for protocol, skim in SKIMS.items():
            codec = CODECS[protocol]
            body = codec.encode(*message)
            start = codec.read_header(body)[3]
            cost = message_cost(struct_class, not is_accelerated(struct_class))
            check_elements(skim, body, start, cost, 10**12)
            with self.assertRaises(MalformedMessage):
                check_elements(skim, body[: start + cut % (len(body) - start)], start, cost, 10**12)

    @settings(deadline=None, max_examples=100)
    @given(messages)
    def test_every_parsed_message_can_be_counted(self, message: tuple[str, int, int, Any]) -> None:
        """Also with a limit that leaves nothing over."""
        codec = CODECS["json"]
        body = codec.encode(*message)
        self.assertGreaterEqual(parsing_elements(body, 10**9), 0)
        with self.assertRaises(TooManyElements):
            codec.read_struct(body, codec.read_header(body)[3], type(message[3]), most=1)

    @settings(deadline=None, max_examples=300)
    @given(messages, st.integers(0, 500), st.integers(0, 255))
    def test_what_is_decoded_can_be_counted(self, message: tuple[str, int, int, Any], place: int, byte: int) -> None:
        """The count takes every message that a decoder takes: also one that our encoders never write."""
        struct_class: Any = type(message[3])
        for protocol, skim in SKIMS.items():
            codec = CODECS[protocol]
            changed = bytearray(codec.encode(*message))
            changed[place % len(changed)] = byte
            body = bytes(changed)
            try:
                read(codec, body, struct_class)
                start = codec.read_header(body)[3]
            except MalformedMessage:
                continue
            check_elements(skim, body, start, message_cost(struct_class, False), 10**12)

    def test_numbers_of_fields_wrap_as_the_decoder_has_them(self) -> None:
        """Compact adds up the numbers of fields as i16; a field that it takes for a known one costs as that one."""
        point = self.stub.ttypes.Point
        codec = CODECS["compact"]
        body = codec.encode("points", TMessageType.CALL, 1, self.stub.points_args([point(1, 2)] * 1000))
        start = codec.read_header(body)[3]
        # Field 32767, then 15 and 15 more, ..., up to the number 65537, which is 1.
        skipped = b"\x01\xfe\xff\x03" + b"\xf1" * 2184 + b"\xa9"
        wrapped = body[:start] + skipped + body[start + 1 :]
        self.assertEqual(codec.read_struct(wrapped, start, self.stub.points_args).value, [point(1, 2)] * 1000)
        with self.assertRaises(TooManyElements):
            codec.read_struct(wrapped, start, self.stub.points_args, most=12_000)


class NameTests(SynchronousTestCase):
    """The head of a message of any size is read at once."""

    def test_takes_a_name_at_the_limit_and_refuses_a_longer_one(self) -> None:
        """In each protocol; in JSON also when each character is an escape."""
        stub = CountTests.stub
        for protocol, codec in CODECS.items():
            for name, accepted in (("é" * (NAME_LIMIT // 2), True), ("é" * (NAME_LIMIT // 2) + "a", False)):
                body = codec.encode(name, TMessageType.CALL, 1, stub.numbers_args([]))
                if accepted:
                    self.assertEqual(codec.read_header(body)[0], name)
                else:
                    error = self.assertRaises(MalformedMessage, codec.read_header, body)
                    self.assertIn("at most 1024", str(error), protocol)
        escaped = b'[1,"' + b"\\u0061" * NAME_LIMIT + b'",1,1,{}]'
        self.assertEqual(CODECS["json"].read_header(escaped)[0], "a" * NAME_LIMIT)


class ExceptionTests(SynchronousTestCase):
    """Thrift's exception, which is read in Python."""

    def test_counts_its_fields(self) -> None:
        """The ones it has, and others."""
        for codec in CODECS.values():
            body = codec.encode("f", TMessageType.EXCEPTION, 1, TApplicationException(1, "why" * 100_000))
            start = codec.read_header(body)[3]
            self.assertEqual(codec.read_struct(body, start, TApplicationException).type, 1)
            with self.assertRaises(TooManyElements):
                codec.read_struct(body, start, TApplicationException, most=1000)


class SkimTests(SynchronousTestCase):
    """The parts of the count."""

    def test_a_value_of_another_form_is_left_to_the_reader(self) -> None:
        """Parsed JSON that does not fit its type."""
        cost: MessageCost = message_cost(CountTests.stub.mapped_args, in_python=False)
        others: list[Any] = [(), [], 1, "a", (("1", 1),), (("1", (("map", 1),)),), (("1", (("map", [1]),)),)]
        for parsed in others:
            JSONSkim(cost, 100, 100).check(parsed)
