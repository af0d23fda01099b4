"""PITFALLS, stubs 7: required fields, which Thrift's decoders leave unchecked, are checked at any depth."""

from __future__ import annotations

from typing import Any, ClassVar

from thrift.protocol.TProtocol import TProtocolException
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator.ttypes import Work
from generated.kvstore import ttypes as kvstore
from rpc.required_fields import required_fields_check
from tests.stubs import compile_stub

Entry: Any = kvstore.Entry  # its .pyi asks for the required fields
Page: Any = kvstore.Page

NESTED = """
struct Leaf { 1: required i32 number }
struct Tree { 1: optional Leaf leaf, 2: list<Tree> branches, 3: map<string, list<Leaf>> named, 4: map<i32, Tree> trees }
struct Loop { 1: optional Loop next, 2: set<i32> numbers }
struct Left { 1: optional Right right }
struct Right { 1: optional Left left, 2: required string name }
struct Defaulted { 1: required i32 number = 7 }
exception Refused { 1: required string why }
service Trees { Tree grow(1: Tree tree, 2: Loop loop) throws (1: Refused refused), Loop turn(1: Loop loop) }
"""


class RequiredFieldsTests(SynchronousTestCase):
    """required_fields_check."""

    stub: ClassVar[Any]
    types: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.stub = compile_stub(NESTED, "Trees")
        cls.types = cls.stub.ttypes

    def assert_refused(self, value: Any) -> None:
        """`value` lacks a required field, according to the check of its class."""
        struct: Any = type(value)
        check = required_fields_check(struct)
        assert check is not None
        self.assertRaises(TProtocolException, check, value)

    def assert_passes(self, value: Any) -> None:
        """`value` has all it needs."""
        struct: Any = type(value)
        check = required_fields_check(struct)
        assert check is not None
        check(value)

    def test_own_field(self) -> None:
        """A struct's own required field must be set; an empty value is a value."""
        self.assert_refused(Entry(None, b""))
        self.assert_refused(Entry("k"))
        self.assert_passes(Entry("", b""))

    def test_within_containers(self) -> None:
        """Structs in lists, in values of maps, and in lists in maps are looked at."""
        tree, leaf = self.types.Tree, self.types.Leaf
        self.assert_refused(Page([Entry("k", b""), Entry("k")]))
        self.assert_passes(Page([]))
        self.assert_refused(tree(leaf=leaf()))
        self.assert_refused(tree(named={"a": [leaf(1), leaf()]}))
        self.assert_refused(tree(trees={1: tree(trees={2: tree(leaf=leaf())})}))
        self.assert_passes(tree(leaf=leaf(0), branches=[tree()], named={"a": [], "b": [leaf(1)]}, trees={1: tree()}))

    def test_recursion(self) -> None:
        """Types that hold themselves, or each other, are checked to the depth of the value."""
        tree, left, right = self.types.Tree, self.types.Left, self.types.Right
        value = tree(leaf=self.types.Leaf())
        for _ in range(50):
            value = tree(branches=[value])
        self.assert_refused(value)
        self.assert_refused(left(right(left(right()))))
        self.assert_refused(right(left(), None))
        self.assert_passes(left(right(left(right(None, "c")), "a")))

    def test_nothing_to_check(self) -> None:
        """Types without required fields, or with a default for them, have no check, recursive ones included."""
        for struct in (Work, self.types.Loop, self.types.Defaulted, self.stub.turn_args, self.stub.turn_result):
            self.assertIsNone(required_fields_check(struct))

    def test_arguments_and_results(self) -> None:
        """Arguments, results and exceptions are structs like others."""
        self.assert_refused(self.stub.grow_args(self.types.Tree(leaf=self.types.Leaf())))
        self.assert_passes(self.stub.grow_args())
        self.assert_refused(self.stub.grow_result(refused=self.types.Refused()))
        self.assert_passes(self.stub.grow_result(refused=self.types.Refused("why")))
