"""Values that can be hashed: frozen lists, sets and maps, and structs."""

from __future__ import annotations

import copy
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from thrift.Thrift import TMessageType, TType
from twisted.trial.unittest import SynchronousTestCase

from rpc.envelope import CODECS
from rpc.errors import MalformedMessage
from rpc.frozen import FrozenDict, freeze, value_hash
from rpc.frozen_reader import MOST_OF_ONE_HASH
from rpc.generated_structs import is_accelerated
from tests.stubs import compile_stub

_IDL = """
struct Point { 1: i32 x, 2: list<i32> path }
struct Outer { 1: Holder holder }
struct Holder { 1: set<list<i64>> lists, 2: map<Point, i32> points }
union Either { 1: Point point, 2: i32 number }
exception Lost { 1: Point point, 2: list<string> seen }
service S {
  void f(1: set<list<i64>> lists, 2: map<list<i64>, i32> by_list)
  void g(1: set<Point> points, 2: map<Either, i32> eithers, 3: set<Lost> lost)
  Outer h(1: Outer outer)
}
"""

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.frozensets(inner.map(freeze), max_size=3)
        | st.dictionaries(inner.map(freeze), inner, max_size=3)
    ),
    max_leaves=6,
)


class FrozenTests(SynchronousTestCase):
    """Any values of Thrift."""

    @given(values)
    def test_frozen_values_are_equal_and_have_one_hash(self, value: Any) -> None:
        """Frozen twice, from copies; in Python's hash and in ours."""
        one, other = freeze(value), freeze(copy.deepcopy(value))
        self.assertEqual(one, other)
        self.assertEqual((hash(one), value_hash(one)), (hash(other), value_hash(other)))
        self.assertEqual(value_hash(one), value_hash(value))

    def test_numbers_that_are_equal_have_one_hash(self) -> None:
        """Python says that they are equal."""
        self.assertEqual({value_hash(number) for number in (1, 1.0, True)}, {value_hash(1)})
        self.assertNotEqual(value_hash(float("inf")), value_hash(float("-inf")))
        self.assertEqual(value_hash(-1) == value_hash(-2), False)

    def test_a_frozen_dict_cannot_be_changed(self) -> None:
        """By no method of a dict. It is equal to a dict, and can be copied and pickled."""
        frozen = FrozenDict({"a": 1})
        for change in (
            lambda: frozen.__setitem__("a", 2),
            lambda: frozen.__delitem__("a"),
            lambda: frozen.update({}),
            lambda: frozen.setdefault("b", 1),
            lambda: frozen.pop("a"),
            frozen.popitem,
            frozen.clear,
            lambda: frozen.__ior__({}),
        ):
            self.assertRaises(TypeError, change)
        self.assertEqual(frozen, {"a": 1})
        for made in (copy.copy(frozen), copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
            self.assertEqual((type(made), made, hash(made)), (FrozenDict, frozen, hash(frozen)))


class HashedStructTests(SynchronousTestCase):
    """Structs in sets and keys."""

    def setUp(self) -> None:
        self.stub = compile_stub(_IDL, "S")

    def test_structs_are_equal_and_hashed_by_their_values(self) -> None:
        """Also with lists in them; structs, unions and exceptions."""
        stub = self.stub
        for make in (
            lambda path: stub.Point(1, path),
            lambda path: stub.Either(point=stub.Point(1, path)),
            lambda path: stub.Lost(stub.Point(1, path), ["a"]),
        ):
            self.assertEqual(hash(make([1])), hash(make([1])))
            self.assertEqual(len({make([1]), make([1]), make([2])}), 2)

    def test_a_struct_that_is_nowhere_hashed_stays_unhashable(self) -> None:
        """As the compiler makes it."""
        self.assertRaises(TypeError, hash, self.stub.Holder())

    def test_the_c_extension_reads_hashed_structs(self) -> None:
        """It reads no frozen containers, also not in a struct inside of others."""
        stub = self.stub
        accelerated = {struct.__name__ for struct in (stub.f_args, stub.g_args, stub.h_args) if is_accelerated(struct)}
        self.assertEqual(accelerated, {"g_args"})

    def test_the_specification_marks_what_is_frozen(self) -> None:
        """For codecs that read by it: ``python.immutable`` has the same mark. Lists in other places stay lists."""
        stub = compile_stub(
            "struct A { 1: map<list<map<i32, list<i32>>>, list<set<i32>>> a } service S { void f(1: A a) }", "S"
        )
        ((_, _, _, details, _),) = [field for field in stub.A.thrift_spec if field is not None]
        ints = (TType.I32, None, True)
        key = (TType.MAP, (TType.I32, None, TType.LIST, ints, True), True)
        self.assertEqual(details, (TType.LIST, key, TType.LIST, (TType.SET, (TType.I32, None, False), False), False))
        self.assertIs(stub.f_args.thrift_spec[1][3][1], stub.A.thrift_spec)


class TextTests(SynchronousTestCase):
    """Text in sets and keys that the C extension cannot read."""

    def test_text_with_the_replacement_character_is_text_and_invalid_utf_8_is_refused(self) -> None:
        """The extension cannot read such messages again, to tell the one from the other. It need not."""
        stub = compile_stub("struct A { 1: i32 a } service S { void f(1: set<map<A, string>> maps) }", "S")
        sent = stub.f_args({FrozenDict({stub.A(1): "\ufffd", stub.A(2): "long"})})
        for codec in (CODECS["binary"], CODECS["compact"]):
            body = codec.encode("f", TMessageType.CALL, 1, sent)
            start = codec.read_header(body)[3]
            self.assertEqual(codec.read_struct(body, start, stub.f_args), sent)
            body = body.replace(b"long", b"lon\xff")
            self.assertRaises(MalformedMessage, codec.read_struct, body, start, stub.f_args)
            read = codec.read_struct(body, start, stub.f_args, replace=True)
            self.assertEqual({text for map_ in read.maps for text in map_.values()}, {"\ufffd", "lon\ufffd"})


class HostileSetTests(SynchronousTestCase):
    """Elements that a peer has chosen by their hashes."""

    def setUp(self) -> None:
        self.stub = compile_stub(_IDL, "S")

    def body(self, lists: list[tuple[int, ...]], protocol: str = "binary") -> tuple[bytes, int]:
        """Return a message of `f` with a set of lists as they are given, and the offset of its struct."""
        codec = CODECS[protocol]
        body = codec.encode("f", TMessageType.CALL, 1, self.stub.f_args(lists=lists))
        return body, codec.read_header(body)[3]

    def test_refuses_many_elements_of_one_hash(self) -> None:
        """-1 and -2 have one hash in Python, so tuples of them do. In each protocol."""
        one_hash = [tuple(-1 - (number >> bit & 1) for bit in range(8)) for number in range(256)]
        self.assertEqual(len(set(map(hash, one_hash))), 1)
        for protocol, codec in CODECS.items():
            body, start = self.body(one_hash[:MOST_OF_ONE_HASH], protocol)
            read = codec.read_struct(body, start, self.stub.f_args)
            self.assertEqual(read.lists, set(one_hash[:MOST_OF_ONE_HASH]))
            body, start = self.body(one_hash, protocol)
            error = self.assertRaises(MalformedMessage, codec.read_struct, body, start, self.stub.f_args)
            self.assertIn("have one hash", str(error))

    def test_refuses_many_keys_of_one_hash(self) -> None:
        """JSON has no such keys."""
        one_hash = [tuple(-1 - (number >> bit & 1) for bit in range(8)) for number in range(256)]
        for protocol in ("binary", "compact"):
            codec = CODECS[protocol]
            body = codec.encode("f", TMessageType.CALL, 1, self.stub.f_args(by_list=dict.fromkeys(one_hash, 1)))
            start = codec.read_header(body)[3]
            error = self.assertRaises(MalformedMessage, codec.read_struct, body, start, self.stub.f_args)
            self.assertIn("have one hash", str(error))

    def test_accepts_many_equal_elements(self) -> None:
        """They are one element."""
        for protocol, codec in CODECS.items():
            body, start = self.body([(1, 2)] * 1000, protocol)
            self.assertEqual(codec.read_struct(body, start, self.stub.f_args).lists, {(1, 2)})

    def test_refuses_elements_of_another_type(self) -> None:
        """Thrift's own Python code reads them as if they had the right one."""
        body, start = self.body([(1,)])
        body = body.replace(b"\x0f\x00\x00\x00\x01\x0a", b"\x0f\x00\x00\x00\x01\x08", 1)
        error = self.assertRaises(MalformedMessage, CODECS["binary"].read_struct, body, start, self.stub.f_args)
        self.assertIn("elements of type 8, not 10", str(error))
