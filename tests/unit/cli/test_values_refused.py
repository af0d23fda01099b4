"""JSON that fits no value: errors name the path, the type, the JSON that it takes, and the JSON that was given."""

from __future__ import annotations

import sys
import types
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from rpc import idl
from rpc.cli.values import Values
from rpc.errors import InvalidRequest
from rpc.idl import BaseType, ListType, MapType, SetType, StructType, Type
from tests.unit.cli.value_types import BINARY, BOOL, DOUBLE, I32, NUMBERS, OPERATION, STRING, WORK, values


class RefusalTests(SynchronousTestCase):
    """Errors have the path, the type, the JSON that it takes, and the JSON that was given."""

    def refused(self, kind: Type, word: str, *parts: str) -> None:
        """Check that a word is refused, and parts of the error."""
        error = self.assertRaises(InvalidRequest, values.argument, kind, word, "it")
        for part in parts:
            self.assertIn(part, str(error))

    def test_refuses_whole_numbers_out_of_range(self) -> None:
        """And JSON of other types."""
        for word in ("128", "-129", "1.0", "true", "null", "x", '"1"', "[]", ""):
            self.refused(BaseType("i8"), word, "it: i8 takes a whole number from -128 to 127, not ")
        self.refused(DOUBLE, "1" + "0" * 400, "it: double takes a number", "...")
        self.refused(DOUBLE, "nan", "not 'nan'")
        self.refused(BOOL, "1", "it: bool takes true or false, not 1")

    def test_refuses_a_number_beyond_a_double(self) -> None:
        """It would become an infinity. The number is shown as it was written."""
        self.refused(DOUBLE, "1e400", 'it: double takes a number, "NaN", "Infinity" or "-Infinity", not 1e400')
        self.refused(
            MapType(STRING, ListType(DOUBLE)), '{"a": [1.5, -1e999]}', "it['a'][1]: double takes", "not -1e999"
        )
        self.refused(I32, "[1e400]", "it: i32 takes a whole number", 'not ["1e400"]')
        self.refused(MapType(DOUBLE, I32), '{"1e400": 1}', "it, key '1e400': double takes")

    def test_refuses_two_keys_that_are_one_value(self) -> None:
        """A map would keep only one of their values."""
        self.refused(MapType(DOUBLE, I32), '{"1": 1, "1.0": 2}', "it: the keys '1' and '1.0' are the same double")
        self.refused(
            ListType(MapType(OPERATION, I32)), '[{"ADD": 1, "1": 2}]', "it[0]: the keys 'ADD' and '1' are the same"
        )

    def test_refuses_a_key_that_is_given_twice(self) -> None:
        """In maps and in structs."""
        self.refused(MapType(STRING, I32), '{"a": 1, "b": 1, "a": 2}', "it: the key 'a' is given twice")
        self.refused(ListType(WORK), '[{"num1": 1, "num1": 1}]', "it[0]: the key 'num1' is given twice")

    def test_quotes_only_the_beginning_of_a_long_key(self) -> None:
        """As of a long value, wherever the key stands."""
        key, other = "9" * 500, "8" * 500
        for kind, word in (
            (MapType(I32, I32), f'{{"{key}": 1}}'),
            (MapType(STRING, I32), f'{{"{key}": "x"}}'),
            (MapType(STRING, I32), f'{{"{key}": 1, "{key}": 1}}'),
            (MapType(BaseType("double"), I32), f'{{"0.{key}": 1, "0.{key}{other}": 1}}'),
            (WORK, f'{{"{key}": 1}}'),
        ):
            error = self.assertRaises(InvalidRequest, values.argument, kind, word, "it")
            self.assertIn("99...", str(error))
            self.assertLess(len(str(error)), 300)

    def test_refuses_half_a_surrogate_pair_and_wrong_base64(self) -> None:
        """Neither is text of its type."""
        self.refused(STRING, '"\\ud800"', "it: string takes text")
        self.refused(STRING, '"open', "it: string is written as JSON")
        self.refused(BINARY, "a%", "it: binary takes base64 text, not 'a%'")
        self.refused(BINARY, "é", "it: binary takes base64 text, not 'é'")
        self.refused(BaseType("uuid"), "1234", "it: uuid takes text such as ")

    def test_lists_the_members_of_an_enum(self) -> None:
        """When the word is no name of them, and no number of 32 bits."""
        for word in ("POWER", "9x", "add", '"add"', "2147483648", "1.5", "٣"):
            self.refused(OPERATION, word, "it: calculator.Operation takes one of ADD (1), SUBTRACT (2)")
        self.refused(ListType(OPERATION), "[true]", "it[0]: ")

    def test_names_the_path_of_a_nested_value(self) -> None:
        """Down to the element."""
        self.refused(ListType(NUMBERS), '[{"values": [1]}, {"values": [1, "2"]}]', "it[1].values[1]: i64 takes")
        self.refused(MapType(STRING, WORK), '{"a": {"num1": []}}', "it['a'].num1: i32 takes")
        self.refused(MapType(I32, I32), '{"x": 1}', "it, key 'x': i32 takes")

    def test_refuses_json_of_another_shape(self) -> None:
        """Or text that is not JSON."""
        self.refused(ListType(I32), "{}", "it: list<i32> takes an array, not {}")
        self.refused(SetType(I32), "1", "it: set<i32> takes an array, not 1")
        self.refused(MapType(I32, I32), "[]", "it: map<i32, i32> takes an object, not []")
        self.refused(WORK, '{"num1":', "it: calculator.Work is written as JSON")

    def test_names_unknown_and_missing_fields(self) -> None:
        """With the fields of the struct."""
        self.refused(WORK, '{"num3": 1}', "it: calculator.Work has no field 'num3'", "num2 (i32)")
        self.refused(NUMBERS, "{}", "it: calculator.Numbers needs the field values (list<i64>)")
        self.refused(NUMBERS, '{"values": null}', "it: calculator.Numbers needs the field values")

    def test_refuses_a_set_of_structs_that_stubs_cannot_hash(self) -> None:
        """They are hashable where the IDL has such a set; those of an earlier version of the command are not."""
        self.refused(SetType(WORK), "[{}]", "it[0]: ", "cannot hold a calculator.Work")

    def test_refuses_json_that_is_nested_too_deeply(self) -> None:
        """The parser would exceed Python's recursion limit."""
        self.refused(ListType(I32), "[" * 100_000, "it: nested too deeply")


class UnionTests(SynchronousTestCase):
    """A union has exactly one field set."""

    def setUp(self) -> None:
        fields = [
            {"id": number, "name": name, "type": "i32", "requiredness": "optional", "has_default": False, "doc": ""}
            for number, name in enumerate(("a", "b"), 1)
        ]
        union = {"kind": "union", "doc": "", "fields": fields, "annotations": {}}
        document = {"format": 1, "structs": {"shapes.Either": union}, "enums": {}, "constants": {}, "services": {}}
        self.values = Values(idl.parse(document))
        self.either = attrs.make_class("Either", {"a": attrs.field(default=None), "b": attrs.field(default=None)})
        module: Any = types.ModuleType("shapes.ttypes")
        module.Either = self.either
        sys.modules[module.__name__] = module
        self.addCleanup(sys.modules.pop, module.__name__)

    def test_shows_and_takes_the_field_that_is_set(self) -> None:
        """Null fields do not count."""
        kind = StructType("shapes.Either")
        value = self.values.from_json(kind, {"b": 1, "a": None}, "it")
        self.assertEqual(value, self.either(b=1))
        self.assertEqual(self.values.to_json(kind, value), {"b": 1})

    def test_refuses_a_union_without_exactly_one_field(self) -> None:
        """The error lists the fields."""
        for given_fields in ({}, {"a": 1, "b": 2}):
            error = self.assertRaises(
                InvalidRequest, self.values.from_json, StructType("shapes.Either"), given_fields, "it"
            )
            self.assertIn("set one of a, b", str(error))
