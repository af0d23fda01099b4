"""Thrift's JSON is checked as strictly as a message in binary when it is read."""

from __future__ import annotations

from typing import Any, ClassVar

from thrift.Thrift import TApplicationException, TType
from twisted.trial.unittest import SynchronousTestCase

from rpc.envelope import CODECS, CONTAINER_LIMIT, NUMBER_LIMIT
from rpc.envelope.limits import NESTING_LIMIT
from rpc.errors import MalformedMessage
from tests.stubs import compile_stub
from tests.unit.envelope_messages import read
from tests.unit.test_generated_equality import EVERYTHING

JSON = CODECS["json"]


class ReadingTests(SynchronousTestCase):
    """Text that does not fit the types is malformed."""

    stub: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.stub = compile_stub(EVERYTHING, "Everything")

    def read(self, name: str, struct: str) -> Any:
        """Return the arguments of a method, from the text of their struct."""
        return read(JSON, f'[1,"{name}",1,1,{struct}]'.encode(), getattr(self.stub, f"{name}_args"))

    def value(self, name: str, field: str) -> Any:
        """Return the argument ``value`` of a method, from the text of its field."""
        return self.read(name, f'{{"1":{field}}}').value

    def refused(self, name: str, *fields: str) -> None:
        """Check that each text of the field of a method's argument is malformed, with a short error."""
        for field in fields:
            with self.assertRaises(MalformedMessage, msg=field) as caught:
                self.value(name, field)
            self.assertLess(len(str(caught.exception)), 300)

    def test_refuses_numbers_out_of_range(self) -> None:
        for name, tag, bits in (("small", "i8", 8), ("short_", "i16", 16), ("number", "i32", 32), ("long_", "i64", 64)):
            least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
            for fits in (least, -1, 0, most):
                self.assertEqual(self.value(name, f'{{"{tag}":{fits}}}'), fits)
            for wrong in (least - 1, most + 1, 10**30, "1.0", "1e2", '"1"', "true", "null", "[]", "{}", "-0"):
                self.refused(name, f'{{"{tag}":{wrong}}}')

    def test_refuses_bools_other_than_0_and_1(self) -> None:
        self.assertIs(self.value("flag", '{"tf":1}'), True)
        self.assertIs(self.value("flag", '{"tf":0}'), False)
        self.refused("flag", *(f'{{"tf":{wrong}}}' for wrong in ("2", "-1", "true", "false", "1.0", '"1"', "null")))

    def test_refuses_what_is_no_double(self) -> None:
        for text, number in (
            ("1", 1.0),
            ("-0", -0.0),
            ("1e5", 1e5),
            ('"Infinity"', float("inf")),
            ("10000000000", 1e10),
        ):
            self.assertEqual(repr(self.value("real", f'{{"dbl":{text}}}')), repr(number))
        wrong = (
            "NaN",
            "Infinity",
            "-Infinity",
            "1e999",
            "1" * 400,
            '"1.5"',
            '"nan"',
            '"inf"',
            '"+Infinity"',
            "true",
            "[]",
        )
        self.refused("real", *(f'{{"dbl":{text}}}' for text in wrong))

    def test_refuses_what_is_no_string(self) -> None:
        self.refused("text", *(f'{{"str":{wrong}}}' for wrong in ("1", "null", '["x"]', '{"str":"x"}', "true")))

    def test_refuses_what_is_no_base64(self) -> None:
        """With and without padding; Thrift's C++ leaves it out."""
        for text, data in (
            ("AA==", b"\0"),
            ("AA", b"\0"),
            ("AAA", b"\0\0"),
            ("AAAA", b"\0\0\0"),
            ("", b""),
            ("+/+/", b"\xfb\xff\xbf"),
        ):
            self.assertEqual(self.value("data", f'{{"str":"{text}"}}'), data)
        wrong = (
            "!!!!",
            "A",
            "AA=",
            "AAA==",
            "=",
            "====",
            "AA==AA==",
            "A A A A A",
            "-_-_",
            "AAAAA",
            "é",
            "AB==",
            "AAA\\n",
        )
        self.refused("data", *(f'{{"str":"{text}"}}' for text in wrong))

    def test_refuses_sizes_that_do_not_fit_the_elements(self) -> None:
        for elements in (
            '"str",0,"a"',
            '"str",2,"a"',
            '"str",-1',
            '"str",1.0,"a"',
            '"str","1","a"',
            '"str"',
            "",
            "1,1",
        ):
            self.refused("strings", f'{{"lst":[{elements}]}}')
        for elements in ('"i32",2,1', '"i32",1,1,2'):
            self.refused("numbers", f'{{"set":[{elements}]}}')
        for content in (
            '"str","str",0,{"a":"AA"}',
            '"str","str",2,{"a":"AA"}',
            '"str","str",0',
            '"str","str",0,[]',
            "",
        ):
            self.refused("blobs", f'{{"map":[{content}]}}')
        self.refused("strings", '{"lst":{}}', '{"lst":"str"}')

    def test_refuses_elements_of_another_type(self) -> None:
        """An empty container may name any type, as in Thrift's C extension."""
        self.assertEqual(self.value("strings", '{"lst":["i32",0]}'), [])
        self.assertEqual(self.value("blobs", '{"map":["i32","rec",0,{}]}'), {})
        self.refused(
            "strings", '{"lst":["i32",1,1]}', '{"lst":["i32",1,"a"]}', '{"lst":["str",1,1]}', '{"lst":["str",1,null]}'
        )
        self.refused("blobs", '{"map":["i32","str",1,{"1":"AA"}]}', '{"map":["str","i32",1,{"1":1}]}')

    def test_limits_the_elements_of_a_container(self) -> None:
        """As in the other protocols."""
        many = ",1" * (CONTAINER_LIMIT + 1)
        self.refused("numbers", f'{{"set":["i32",{CONTAINER_LIMIT + 1}{many}]}}')

    def test_refuses_keys_that_are_no_numbers_of_their_type(self) -> None:
        """JSON has them as strings. Python's int() also takes blanks, signs and underscores."""
        begin, end = '[1,"containers",1,1,{"1":{"rec":{"3":{"map":["i64","dbl",1,{"', '":1.5}]}}}}]'
        for key in ("5", "-5", "0", str(2**63 - 1), str(-(2**63))):
            found = read(JSON, (begin + key + end).encode(), self.stub.containers_args)
            self.assertEqual(found.value.reals, {int(key): 1.5})
        for key in ("", " 5", "+5", "05", "5_0", "-0", "\u0665", "5.0", "1e2", "x", str(2**63), "1" * 5000):
            with self.assertRaises(MalformedMessage):
                read(JSON, (begin + key + end).encode(), self.stub.containers_args)

    def test_reads_doubles_and_bools_as_keys(self) -> None:
        begin, end = '[1,"containers",1,1,{"1":{"rec":{"8":{"map":["dbl","str",1,{"', '":"AA"}]}}}}]'
        for key, number in (
            ("1.5", 1.5),
            ("-0", -0.0),
            ("1e5", 1e5),
            ("NaN", float("nan")),
            ("-Infinity", -float("inf")),
        ):
            found = read(JSON, (begin + key + end).encode(), self.stub.containers_args)
            self.assertEqual(repr(found.value.blobs), repr({number: b"\0"}))
        for key in ("1_5", " 1.5", "nan", "infinity", "0x1", "", "1."):
            with self.assertRaises(MalformedMessage):
                read(JSON, (begin + key + end).encode(), self.stub.containers_args)
        begin = '[1,"containers",1,1,{"1":{"rec":{"7":{"map":["str","map",1,{"":["tf","rec",1,{"'
        for key in ("2", "true", "-1", "", "01"):
            with self.assertRaises(MalformedMessage):
                read(JSON, (begin + key + '":{}}]}]}}}}]').encode(), self.stub.containers_args)

    def test_refuses_fields_that_are_none(self) -> None:
        """A field is an object with one type and one value, below its number."""
        self.refused(
            "number", "1", "null", "[]", '["i32",1]', '[["i32",1]]', "{}", '{"i32":1,"i64":1}', '{"int":1}', '"i32"'
        )
        for number in ("01", "x", "", "+1", "1.0", "100000", " 1"):
            with self.assertRaises(MalformedMessage):
                self.read("number", f'{{"{number}":{{"i32":1}}}}')
        for struct in ("[]", "null", "1", '"x"', '[["1",{"i32":1}]]'):
            with self.assertRaises(MalformedMessage):
                self.read("number", struct)

    def test_skips_fields_of_other_numbers_and_types(self) -> None:
        """As Thrift does: they come from another version of the IDL."""
        found = self.read(
            "number", '{"1":{"str":"x"},"2":{"rec":{"1":{"i64":1}}},"-1":{"lst":["i8",0]},"32767":{"tf":1}}'
        )
        self.assertIsNone(found.value)
        self.assertEqual(self.read("number", '{"7":{"map":["str","i32",0,{}]},"1":{"i32":5}}').value, 5)

    def test_the_last_of_two_fields_with_one_number_counts(self) -> None:
        """As in Thrift's decoders."""
        self.assertEqual(self.read("number", '{"1":{"i32":1},"1":{"i32":2}}').value, 2)
        self.assertEqual(self.value("blobs", '{"map":["str","str",2,{"a":"AA","a":"AQ"}]}'), {"a": b"\x01"})

    def test_reads_an_application_exception(self) -> None:
        """With other fields, and without its own."""
        body = b'[1,"f",3,1,{"2":{"i32":6},"1":{"str":"why"},"9":{"tf":1}}]'
        found = read(JSON, body, TApplicationException)
        self.assertEqual((found.type, found.message), (6, "why"))
        found = read(JSON, b'[1,"f",3,1,{}]', TApplicationException)
        self.assertEqual((found.type, found.message), (TApplicationException.UNKNOWN, None))
        self.assertRaises(MalformedMessage, read, JSON, b'[1,"f",3,1,{"2":{"i32":3000000000}}]', TApplicationException)

    def test_refuses_what_is_no_message(self) -> None:
        """Version, name, type, seqid and struct, and nothing after the end."""
        good = '[1,"number",1,1,{"1":{"i32":1}}]'
        self.assertEqual(read(JSON, good.encode(), self.stub.number_args).value, 1)
        for old, new in (
            ("[1,", "[2,"), ("[1,", "[01,"), ('"number"', "number"), ('"number"', '"\\x"'), ('"number"', '"\\ud834"'),
            (",1,1,", ",1,2147483648,"), (",1,1,", ",1,-2147483649,"), (",1,1,", ",1,1.0,"), (",1,1,", ',"1",1,'),
            (",1,1,", ",1," + "1" * 5000 + ","), ("}]", "}"), ("}]", "}] "), ("}]", "},1]"), ("}]", "}}]"),
            ('"number"', '"\xff"'), ('{"1"', "{1"), ("1}}", "1,}}"), ("1}}", "01}}"), ("[1", "\ufeff[1"), ("[1", " [1"),
        ):  # fmt: skip
            assert old in good
            body = good.replace(old, new, 1) if old != "}]" else good[: -len(old)] + new
            with self.assertRaises(MalformedMessage, msg=body):
                read(JSON, body.encode("latin-1" if "\xff" in body else "utf-8"), self.stub.number_args)

    def test_limits_the_digits_of_a_number(self) -> None:
        """Also in a field that is skipped."""
        for digits, fits in ((NUMBER_LIMIT, True), (NUMBER_LIMIT + 1, False)):
            struct = f'{{"1":{{"i32":5}},"9":{{"dbl":{"1" * digits}}}}}'
            if fits:
                self.assertEqual(self.read("number", struct).value, 5)
            else:
                self.assertRaises(MalformedMessage, self.read, "number", struct)

    def test_refuses_deep_nesting(self) -> None:
        """A field that is skipped is only parsed, so Python's parser sets its limit."""
        for deep, close in (('{"4":{"rec":', "}}"), ('{"2":{"lst":["rec",1,', "]}}")):
            for depth, fits in ((NESTING_LIMIT - 2, True), (NESTING_LIMIT - 1, False), (20_000, False)):
                self.check_nesting(deep, close, depth, fits)
        self.check_nesting('{"9":{"rec":', "}}", NESTING_LIMIT, True)
        self.check_nesting('{"9":{"rec":', "}}", 100_000, False)  # Python 3.14 takes as much as fits on its stack

    def check_nesting(self, deep: str, close: str, depth: int, fits: bool) -> None:
        """Read a message with so many structs in one another, beside those of the arguments and the value."""
        text = f'[1,"tree",1,1,{{"1":{{"rec":{deep * depth}{{}}{close * depth}}}}}]'
        if fits:
            read(JSON, text.encode(), self.stub.tree_args)
        else:
            error = self.assertRaises(MalformedMessage, read, JSON, text.encode(), self.stub.tree_args)
            self.assertRegex(str(error), "in one another|recursion|RecursionError")  # of Python 3.14


class UnusableStructTests(SynchronousTestCase):
    """A struct with a field whose class Thrift's compiler did not make."""

    class Inner:
        """No generated class."""

    class Outer:
        """A struct with fields before and behind the one that cannot be used."""

        thrift_spec: Any

        def __init__(self, a: int | None = None, b: Any = None, z: int | None = None) -> None:
            self.a, self.b, self.z = a, b, z

    Outer.thrift_spec = (
        None,
        (1, TType.I32, "a", None, None),
        (2, TType.STRUCT, "b", [Inner, None], None),
        (3, TType.I32, "z", None, None),
    )

    def test_it_is_refused_each_time_and_not_written_in_part(self) -> None:
        for _ in range(2):
            self.assertRaises(MalformedMessage, CODECS["json"].encode, "f", 1, 1, self.Outer(1, None, 5))

    def test_it_is_refused_each_time_and_not_read_in_part(self) -> None:
        body = b'[1,"f",1,1,{"1":{"i32":1},"3":{"i32":5}}]'
        codec = CODECS["json"]
        for _ in range(2):
            start = codec.read_header(body)[3]
            self.assertRaises(MalformedMessage, codec.read_struct, body, start, self.Outer)
