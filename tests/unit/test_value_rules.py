"""One rule for values in all protocols: a value fits its type in all of them or in none, and arrives as the same."""

from __future__ import annotations

import json
import math
from collections import UserString
from typing import Any, ClassVar

from thrift.Thrift import TApplicationException, TMessageType

from rpc.envelope import CODECS
from rpc.envelope.limits import NESTING_LIMIT
from rpc.errors import InvalidReply, InvalidRequest
from tests.stubs import compile_stub
from tests.unit.generated_ends import OurEnds, exactly
from tests.unit.odd_values import ODD_VALUES, Truth
from tests.unit.test_generated_equality import EVERYTHING
from tests.unit.value_rule_case import NOT_UTF_8, ValueRuleCase

INFINITIES = (math.inf, -math.inf, math.nan)

INJECTED = ['x"},"9":{"i32":5},"1":{"str":"']
"""A list that Thrift's Python joins without escapes where a string belongs: it then sets other fields."""


class WritingTests(ValueRuleCase):
    """Values that a client sends, and a worker answers."""

    odd_values: ClassVar = ODD_VALUES

    def test_values_of_other_types_fit_all_protocols_or_none(self) -> None:
        """As they fit Thrift's C extension for the binary protocol, and arrive as the same value."""
        for name, values in self.odd_values.items():
            for value in values:
                binary, *others = self.ends()
                arrived = exactly(self.sent(binary, name, value))
                result = exactly(self.answered(binary, name, value))
                for ours in others:
                    self.assertEqual(exactly(self.sent(ours, name, value)), arrived, (ours.protocol, name, value))
                    self.assertEqual(exactly(self.answered(ours, name, value)), result, (ours.protocol, name, value))

    def test_what_is_true_arrives_as_true(self) -> None:
        """Not only the object True."""
        for value in (1, 2, "x", Truth()):
            self.assert_same_everywhere("flag", value, True)
        false_values: tuple[Any, ...] = (0, "", [])
        for false in false_values:
            self.assert_same_everywhere("flag", false, False)

    def test_a_list_is_no_string(self) -> None:
        """Its elements would be written without escapes."""
        for value in (INJECTED, tuple(INJECTED), {"x": 1}, UserString("x"), 1, 1.5, None.__class__):
            self.assert_same_everywhere("text", value, InvalidRequest)
            self.assert_same_everywhere("strings", [value], InvalidRequest)
            self.assert_same_everywhere("blobs", {"key": value}, InvalidRequest)

    def test_texts_that_json_escapes_arrive(self) -> None:
        """In values and in keys."""
        for text in (*INJECTED, '"', "\\", "\\u0041", "\x00\x1f\x7f", "\u2028", "𝄞", "</script>", ""):
            self.assert_same_everywhere("text", text, text)
            self.assert_same_everywhere("blobs", {text: b""}, {text: b""})

    def test_doubles_that_are_not_finite_arrive(self) -> None:
        """As values, in lists and as keys."""
        for value in (*INFINITIES, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e16, 123456789012345678.0):
            self.assert_same_everywhere("real", value, value)
            sent = self.types.Containers(reals={1: value}, bytes={1: [value, 1.0]}, blobs={value: b"x"})
            for ours in self.ends():
                self.assertEqual(repr(self.sent(ours, "containers", sent)), repr(sent))

    def test_json_has_thrifts_names_for_doubles_that_are_not_finite(self) -> None:
        """In quotation marks, so it is JSON."""
        written = [json.loads(OurEnds(self.stub, "json").call("real", (value,))) for value in INFINITIES]
        arguments = [argument for message in written for argument in message[4].values()]
        self.assertEqual([argument["dbl"] for argument in arguments], ["Infinity", "-Infinity", "NaN"])

    def test_numbers_out_of_range_and_with_a_fraction_are_refused(self) -> None:
        """Before they are sent."""
        for name, bits in (("small", 8), ("short_", 16), ("number", 32), ("long_", 64), ("colour", 32)):
            for value in (2 ** (bits - 1) - 1, -(2 ** (bits - 1))):
                self.assert_same_everywhere(name, value, value)
            for wrong in (2 ** (bits - 1), -(2 ** (bits - 1)) - 1, 10**400, 1.0, 1.5, "1", math.inf):
                self.assert_same_everywhere(name, wrong, InvalidRequest)

    def test_binary_is_bytes_or_text(self) -> None:
        """Text is sent as UTF-8."""
        self.assert_same_everywhere("data", b"\xff\x00", b"\xff\x00")
        self.assert_same_everywhere("data", "é", "é".encode())
        for wrong in (bytearray(b"x"), memoryview(b"x"), [1], 1, "\ud800"):
            self.assert_same_everywhere("data", wrong, InvalidRequest)
            self.assert_same_everywhere("blobs", {"key": wrong}, InvalidRequest)

    def test_bytes_for_a_string_must_be_utf_8(self) -> None:
        """At any depth; a short one and a long one."""
        self.assert_same_everywhere("text", "é".encode(), "é")
        for wrong in (*NOT_UTF_8, b"\xff" * 20_000):
            self.assert_same_everywhere("text", wrong, InvalidRequest)
            self.assert_same_everywhere("strings", ["fine", wrong], InvalidRequest)
            self.assert_same_everywhere("blobs", {wrong: b""}, InvalidRequest)
            self.assert_same_everywhere("tree", self.types.Tree(1, [], {wrong: self.types.Tree()}), InvalidRequest)

    def test_a_struct_is_no_key_in_json(self) -> None:
        """Thrift's Python would write an object as key, which is not JSON. The error says so."""
        point = self.types.Point(1, 2)
        keyed = self.types.Keyed(bads={point: self.types.Bad("why", None, 1)})
        for ours in self.ends():
            arrived = self.sent(ours, "keyed", keyed)
            self.assertEqual(arrived, InvalidRequest if ours.protocol == "json" else keyed)
            self.assertEqual(self.sent(ours, "keyed", self.types.Keyed({}, [])), self.types.Keyed({}, []))
        ours.call("keyed", (keyed,))
        self.assertIn("keys of type Point has no form in JSON", str(ours.settle(b"")[1]))

    def test_structs_are_in_one_another_64_deep_at_most(self) -> None:
        """It is Thrift's own limit in binary and compact. The arguments are the first of them."""
        for depth in (NESTING_LIMIT - 1, NESTING_LIMIT, 1000, 5000):
            for container in (lambda tree: {"branches": [tree]}, lambda tree: {"named": {"x": tree}}):
                tree, only = self.types.Tree(), self.types.Tree()
                for _ in range(depth - 1):
                    tree, only = self.types.Tree(**container(tree)), self.types.Tree(only=only)
                for value in (tree, only):
                    if depth < NESTING_LIMIT:
                        self.assert_same_everywhere("tree", value, value)
                        continue
                    for ours in self.ends():
                        self.assertIs(self.sent(ours, "tree", value), InvalidRequest)

    def test_a_peers_structs_are_in_one_another_64_deep_at_most(self) -> None:
        """The reader has the limit, too."""
        begin, end = {"binary": b"\x0c\x00\x04", "compact": b"\x4c", "json": b'{"4":{"rec":'}, {"json": b"}}"}
        for ours in self.ends():
            tree = ours.codec.encode(
                "tree", TMessageType.CALL, 1, self.stub.tree_args(self.types.Tree(only=self.types.Tree()))
            )
            one, inner = begin[ours.protocol], b"{}" if ours.protocol == "json" else b"\0"
            last = tree.index(one) + len(one)
            for depth, expected in ((NESTING_LIMIT - 1, None), (NESTING_LIMIT, TApplicationException.PROTOCOL_ERROR)):
                more = depth - 2
                closing = end.get(ours.protocol, b"\0") * more
                body = tree[:last] + one * more + inner + closing + tree[last + len(inner) :]
                got = self.served(ours, body)
                if expected is None:
                    self.assertIsInstance(got, self.types.Tree, ours.protocol)
                else:
                    self.assertEqual(got, expected, ours.protocol)


class UnionTests(ValueRuleCase):
    """Exactly one field of a union is set."""

    def wrong(self) -> list[Any]:
        """Return unions with no field and with two."""
        either, point = self.types.Either, self.types.Point(1, 2)
        return [either(), either(point=point, text=""), either(point, {}, "x")]

    def assert_refused_everywhere(self, name: str, value: Any) -> None:
        """Check both ends, when they write and when they read."""
        self.assert_same_everywhere(name, value, InvalidRequest)
        for ours in self.ends():
            arguments, result = getattr(self.stub, f"{name}_args")(value), getattr(self.stub, f"{name}_result")(value)
            request = ours.codec.encode(name, TMessageType.CALL, 1, arguments)
            self.assertEqual(self.served(ours, request), TApplicationException.PROTOCOL_ERROR)
            ours.call(name, (None,))
            reply = ours.codec.encode(name, TMessageType.REPLY, ours.seqid, result)
            self.assertIsInstance(ours.settle(reply)[1], InvalidReply)

    def test_a_union_without_a_field_or_with_several_is_refused(self) -> None:
        """As argument and result."""
        for value in self.wrong():
            self.assert_refused_everywhere("either", value)

    def test_unions_are_checked_at_any_depth(self) -> None:
        """In structs, containers and exceptions."""
        for value in self.wrong():
            self.assert_refused_everywhere("bad", self.types.Bad("why", value, 1))
            self.assert_refused_everywhere("containers", self.types.Containers(eithers={b"": {True: value}}))
            self.assert_refused_everywhere("containers", self.types.Containers(bads=[self.types.Bad("", value, 1)]))

    def test_a_field_that_only_a_newer_idl_has_counts_as_none(self) -> None:
        """The reader could not tell which one was set."""
        newer = compile_stub(EVERYTHING.replace("3: string text }", "3: string text, 4: i32 number }"), "Everything")
        for ours in self.ends():
            arguments = newer.either_args(newer.ttypes.Either(number=1))
            request = ours.codec.encode("either", TMessageType.CALL, 1, arguments)
            self.assertEqual(self.served(ours, request), TApplicationException.PROTOCOL_ERROR)

    def test_each_field_of_a_union_arrives(self) -> None:
        """Empty values are values."""
        either, point = self.types.Either, self.types.Point(1, 2)
        for value in (either(point=point), either(shelf={}), either(shelf={1: [b"x"]}), either(text="")):
            self.assert_same_everywhere("either", value, value)

    def test_the_error_names_the_union_and_its_fields(self) -> None:
        """So that a caller finds the place."""
        (ours, *_) = self.ends()
        ours.call("either", (self.wrong()[1],))
        self.assertIn("exactly one field of the union Either must be set; set: point, text", str(ours.settle(b"")[1]))

    def test_a_union_of_a_stub_without_idl_json_is_not_checked(self) -> None:
        """Generated code does not tell a union from a struct."""
        stub = compile_stub(EVERYTHING, "Everything", description=False)
        for protocol in CODECS:
            ours = OurEnds(stub, protocol)
            self.assertEqual(self.sent(ours, "either", stub.ttypes.Either()), stub.ttypes.Either())
