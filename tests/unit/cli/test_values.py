"""Thrift values as JSON and back: shown values can be given."""

from __future__ import annotations

import json
import math
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator.ttypes import InvalidOperation, Numbers, Operation, Work
from rpc.cli.values import describe
from rpc.errors import InvalidRequest
from rpc.frozen import FrozenDict
from rpc.idl import BaseType, ListType, MapType, SetType, StructType, Type
from tests.unit.cli.value_types import BINARY, BOOL, DOUBLE, I32, I64, NUMBERS, OPERATION, STRING, WORK, values

text = st.text(st.characters(exclude_categories=["Cs"]))


def whole(bits: int) -> st.SearchStrategy[int]:
    """Return a strategy for every value of an integer type."""
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


operations = st.sampled_from(list(Operation._VALUES_TO_NAMES))
works = st.builds(Work, whole(32), st.none() | whole(32), operations, st.none() | text)

Typed = tuple[Type, st.SearchStrategy[Any]]

scalars: list[Typed] = [
    (BOOL, st.booleans()),
    *((BaseType(f"i{bits}"), whole(bits)) for bits in (8, 16, 32, 64)),
    (DOUBLE, st.floats(allow_nan=False)),
    (STRING, text),
    (BINARY, st.binary()),
    (BaseType("uuid"), st.uuids()),
    (OPERATION, operations),
]
structs: list[Typed] = [(WORK, works), (NUMBERS, st.builds(Numbers, st.lists(whole(64)), st.none() | text))]


def containers(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Return a strategy for containers of types, with strategies for their values."""
    hashable = st.sampled_from(scalars)
    return (
        inner.map(lambda typed: (ListType(typed[0]), st.lists(typed[1], max_size=3)))
        | hashable.map(lambda typed: (SetType(typed[0]), st.sets(typed[1], max_size=3)))
        | st.tuples(hashable, inner).map(
            lambda pair: (
                MapType(pair[0][0], pair[1][0]),
                st.dictionaries(pair[0][1], pair[1][1], max_size=3),
            )
        )
    )


typed_values = st.recursive(st.sampled_from(scalars + structs), containers, max_leaves=4).flatmap(
    lambda typed: st.tuples(st.just(typed[0]), typed[1])
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
any_type = st.recursive(st.sampled_from(scalars + structs), containers, max_leaves=4).map(lambda typed: typed[0])


class RoundTripTests(SynchronousTestCase):
    """The JSON that is shown for a value is accepted for it."""

    @given(typed_values)
    def test_values_of_every_type_come_back_from_their_json(self, typed: tuple[Type, Any]) -> None:
        """However they are nested."""
        kind, value = typed
        shown = json.dumps(values.to_json(kind, value), allow_nan=False)
        self.assertEqual(values.from_json(kind, json.loads(shown), "it"), value)

    @given(typed_values)
    def test_the_json_of_a_value_is_accepted_as_an_argument(self, typed: tuple[Type, Any]) -> None:
        """Text with its quotation marks."""
        kind, value = typed
        shown = json.dumps(values.to_json(kind, value))
        self.assertEqual(values.argument(kind, shown, "it"), value)

    @given(any_type, any_json)
    def test_any_json_gives_a_value_or_an_error_with_its_path(self, kind: Type, value: Any) -> None:
        """For any type."""
        try:
            values.from_json(kind, value, "here")
        except InvalidRequest as error:
            self.assertTrue(str(error).startswith("here"))

    @given(any_type, st.text())
    def test_any_word_gives_a_value_or_an_error_with_its_path(self, kind: Type, word: str) -> None:
        """For any type."""
        try:
            values.argument(kind, word, "here")
        except InvalidRequest as error:
            self.assertTrue(str(error).startswith("here"))

    def test_a_double_that_is_not_finite_is_text(self) -> None:
        """JSON has no number for it."""
        shown = [values.to_json(DOUBLE, value) for value in (math.nan, math.inf, -math.inf)]
        self.assertEqual(shown, ["NaN", "Infinity", "-Infinity"])
        self.assertTrue(math.isnan(values.from_json(DOUBLE, "NaN", "it")))
        self.assertEqual(values.argument(DOUBLE, "-Infinity", "it"), -math.inf)


class ShownTests(SynchronousTestCase):
    """Values as JSON."""

    def shown(self, kind: Type, value: Any, json_value: object) -> None:
        """Check the JSON of a value."""
        self.assertEqual(values.to_json(kind, value), json_value)

    def test_a_struct_has_the_fields_that_are_set(self) -> None:
        """In the IDL's order, enums by name."""
        self.shown(WORK, Work(1, None, Operation.DIVIDE), {"num1": 1, "op": "DIVIDE"})

    def test_an_exception_looks_like_a_struct(self) -> None:
        """With its fields."""
        kind = StructType("calculator.InvalidOperation")
        self.shown(kind, InvalidOperation(4, "division by 0"), {"whatOp": 4, "why": "division by 0"})

    def test_an_unknown_enum_member_is_a_number(self) -> None:
        """A newer IDL has a name for it."""
        self.shown(OPERATION, 9, 9)
        self.shown(MapType(OPERATION, I32), {9: 1, 1: 2}, {"9": 1, "ADD": 2})

    def test_a_number_without_a_name_is_taken_for_an_enum(self) -> None:
        """As it is shown: a newer IDL has a name for it."""
        for word in ("9", '"9"', "-2147483648"):
            self.assertEqual(values.argument(OPERATION, word, "it"), int(word.strip('"')))
        self.assertEqual(values.argument(MapType(OPERATION, I32), '{"9": 1, "ADD": 2}', "it"), {9: 1, 1: 2})
        self.assertEqual(values.argument(ListType(OPERATION), '[9, "ADD", "2"]', "it"), [9, 1, 2])

    def test_keys_are_text_or_their_json(self) -> None:
        """Keys that are text are written as they are."""
        self.shown(MapType(STRING, I32), {"1": 1}, {"1": 1})
        self.shown(MapType(BINARY, I32), {b"\xff": 1}, {"/w==": 1})
        self.shown(MapType(I32, BOOL), {-1: True}, {"-1": True})
        self.shown(MapType(BOOL, STRING), {True: ""}, {"true": ""})

    def test_a_set_is_an_array_in_a_fixed_order(self) -> None:
        """Python's own order changes from run to run."""
        self.shown(SetType(STRING), {"b", "a", "c"}, ["a", "b", "c"])

    def test_lists_sets_and_maps_are_frozen_in_sets_and_keys(self) -> None:
        """As they arrive from a peer. They are shown like others."""
        for kind, text, value in (
            (SetType(ListType(I32)), "[[1], [2, 3]]", {(1,), (2, 3)}),
            (MapType(SetType(I32), I32), '{"[1]": 2}', {frozenset({1}): 2}),
            (SetType(MapType(STRING, ListType(I32))), '[{"a": [1]}]', {FrozenDict({"a": (1,)})}),
        ):
            made = values.argument(kind, text, "it")
            self.assertEqual(made, value)
            self.assertEqual(json.dumps(values.to_json(kind, made)), text)

    def test_types_are_named_as_in_the_idl(self) -> None:
        """With their elements."""
        kind = MapType(STRING, ListType(SetType(OPERATION)))
        self.assertEqual(describe(kind), "map<string, list<set<calculator.Operation>>>")


class ArgumentTests(SynchronousTestCase):
    """The values of words on a command line."""

    def taken(self, kind: Type, word: str, value: object) -> None:
        """Check the value of a word."""
        self.assertEqual(values.argument(kind, word, "it"), value)

    def test_text_needs_no_quotation_marks(self) -> None:
        """Also when it would be JSON of another type."""
        for word in ("word", "two words", "5", "true", "null", "", "{}", "'"):
            self.taken(STRING, word, word)
        self.taken(BINARY, "/w==", b"\xff")
        self.taken(
            BaseType("uuid"), "12345678123456781234567812345678", uuid.UUID(int=0x12345678123456781234567812345678)
        )

    def test_a_word_that_begins_with_a_quotation_mark_is_json(self) -> None:
        """So any text can be given."""
        self.taken(STRING, '"a\\n\\u00e9"', "a\né")
        self.taken(STRING, '"\\"quoted\\""', '"quoted"')
        self.taken(OPERATION, '"ADD"', Operation.ADD)

    def test_an_enum_is_given_by_name_or_number(self) -> None:
        """Also inside a container."""
        self.taken(OPERATION, "DIVIDE", Operation.DIVIDE)
        self.taken(OPERATION, "4", Operation.DIVIDE)
        self.taken(ListType(OPERATION), '["ADD", 2, "3"]', [1, 2, 3])

    def test_fields_that_are_left_out_have_their_defaults(self) -> None:
        """Null means the same."""
        self.taken(WORK, '{"num2": 3, "op": "SUBTRACT", "comment": null}', Work(0, 3, Operation.SUBTRACT))
        self.taken(WORK, "{}", Work())

    def test_keys_are_read_by_their_type(self) -> None:
        """As JSON or as text."""
        self.taken(MapType(I64, STRING), '{"-1": "x"}', {-1: "x"})
        self.taken(MapType(BOOL, I32), '{"true": 1}', {True: 1})
        self.taken(MapType(STRING, I32), '{"true": 1}', {"true": 1})
        self.taken(MapType(OPERATION, I32), '{"ADD": 1, "2": 2}', {1: 1, 2: 2})
