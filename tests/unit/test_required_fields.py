"""Required fields, which Thrift's decoders do not check, are checked at any depth."""

from __future__ import annotations

from typing import Any, ClassVar

from thrift.protocol.TProtocol import TProtocolException
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator.ttypes import Work
from generated.kvstore import ttypes as kvstore
from rpc.validity import validity_check
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
    """validity_check."""

    stub: ClassVar[Any]
    types: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.stub = compile_stub(NESTED, "Trees")
        cls.types = cls.stub.ttypes

    def assert_refused(self, value: Any) -> None:
        """Check that `value` lacks a required field."""
        struct: Any = type(value)
        check = validity_check(struct)
        assert check is not None
        self.assertRaises(TProtocolException, check, value)

    def assert_passes(self, value: Any) -> None:
        """Check that `value` has all required fields."""
        struct: Any = type(value)
        check = validity_check(struct)
        assert check is not None
        check(value)

    def test_refuses_a_struct_without_its_required_field(self) -> None:
        """An empty value is a value."""
        self.assert_refused(Entry(None, b""))
        self.assert_refused(Entry("k"))
        self.assert_passes(Entry("", b""))

    def test_checks_structs_in_containers(self) -> None:
        """In lists, in values of maps, and in lists in maps."""
        tree, leaf = self.types.Tree, self.types.Leaf
        self.assert_refused(Page([Entry("k", b""), Entry("k")]))
        self.assert_passes(Page([]))
        self.assert_refused(tree(leaf=leaf()))
        self.assert_refused(tree(named={"a": [leaf(1), leaf()]}))
        self.assert_refused(tree(trees={1: tree(trees={2: tree(leaf=leaf())})}))
        self.assert_passes(tree(leaf=leaf(0), branches=[tree()], named={"a": [], "b": [leaf(1)]}, trees={1: tree()}))

    def test_checks_recursive_types_to_the_depth_of_the_value(self) -> None:
        """Types that contain themselves or each other."""
        tree, left, right = self.types.Tree, self.types.Left, self.types.Right
        value = tree(leaf=self.types.Leaf())
        for _ in range(50):
            value = tree(branches=[value])
        self.assert_refused(value)
        self.assert_refused(left(right(left(right()))))
        self.assert_refused(right(left(), None))
        self.assert_passes(left(right(left(right(None, "c")), "a")))

    def test_types_without_required_fields_have_no_check(self) -> None:
        """Nor have recursive types."""
        for struct in (Work, self.types.Loop, self.stub.turn_args, self.stub.turn_result):
            self.assertIsNone(validity_check(struct))

    def test_refuses_a_required_field_that_was_set_to_none_instead_of_its_default(self) -> None:
        """It would not be sent, and the reader would find its own default."""
        self.assert_passes(self.types.Defaulted())
        self.assert_refused(self.types.Defaulted(None))

    def test_checks_arguments_results_and_exceptions(self) -> None:
        """They are structs, too."""
        self.assert_refused(self.stub.grow_args(self.types.Tree(leaf=self.types.Leaf())))
        self.assert_passes(self.stub.grow_args())
        self.assert_refused(self.stub.grow_result(refused=self.types.Refused()))
        self.assert_passes(self.stub.grow_result(refused=self.types.Refused("why")))
