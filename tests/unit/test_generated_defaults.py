"""Default values of the IDL are fresh for each call and each struct."""

from __future__ import annotations

import copy
import pickle
from typing import Any

from thrift.Thrift import TMessageType, TType
from twisted.trial.unittest import SynchronousTestCase

from rpc.envelope import CODECS
from rpc.generated_defaults import repair_defaults
from tests.stubs import compile_plain_stub, compile_stub
from tests.unit.generated_ends import OurEnds

IDL = """
struct Point { 1: i32 x, 2: i32 y } (python.immutable = "")
struct Inner { 1: list<i32> numbers, 2: optional Inner inner }
struct Listed { 1: list<i32> numbers = [1, 2] }
struct Outer {
  1: Inner inner = {"numbers": [3]}, 2: map<string, list<i32>> lists = {"a": [1]}, 3: set<i32> set_ = [1],
  4: Point point = {"x": 1}, 5: i32 number = 7, 6: optional list<i32> unset, 7: string text = "x", 8: Listed listed
}
struct Frozen { 1: list<i32> numbers = [1], 2: Point point = {"x": 2} } (python.immutable = "")
exception Refused { 1: list<i32> numbers = [1], 2: string why = "so" }
service Defaults {
  void mutate(1: list<i32> numbers = [1, 2], 2: map<i32, i32> pairs = {1: 2}, 3: set<i32> set_ = [1],
    4: Outer outer = {"lists": {"b": [5]}}, 5: Outer plain, 6: Refused refused = {"why": "default"})
  Outer get() throws (1: Refused refused)
  Frozen frozen()
}
"""


class WithoutRepairTests(SynchronousTestCase):
    """Stubs that no client and no service has used yet."""

    def test_structs_of_thrifts_compiler_share_their_defaults(self) -> None:
        """When this test fails, the compiler is mended, and the module can be removed."""
        stub = compile_plain_stub(IDL, "Defaults")
        self.assertIs(stub.ttypes.Outer().inner, stub.ttypes.Outer().inner)
        self.assertIs(stub.mutate_args().numbers, stub.mutate_args().numbers)

    def test_structs_of_our_compiler_have_fresh_defaults(self) -> None:
        """They need no repair, and stay as they are."""
        stub = compile_stub(IDL, "Defaults")
        self.assertIsNot(stub.ttypes.Outer().inner, stub.ttypes.Outer().inner)
        self.assertIsNot(stub.mutate_args().numbers, stub.mutate_args().numbers)
        made = (stub.mutate_args, stub.ttypes.Outer, stub.ttypes.Listed, stub.ttypes.Refused)
        before = [struct.__init__ for struct in made]
        for struct in made:
            repair_defaults(struct)
        self.assertEqual([struct.__init__ for struct in made], before)


class FreshDefaultTests(SynchronousTestCase):
    """Handlers and callers that change the values they got, with a stub as Thrift's compiler writes it."""

    compile_stub = staticmethod(compile_plain_stub)

    def setUp(self) -> None:
        self.stub: Any = self.compile_stub(IDL, "Defaults")
        self.types: Any = self.stub.ttypes

    def test_every_call_has_fresh_default_arguments(self) -> None:
        """A list, a map, a set and structs, in each protocol, after earlier handlers have changed theirs."""
        for protocol in CODECS:
            ours = OurEnds(self.stub, protocol)
            for _ in range(3):
                ours.notes.taken = []
                ours.settle(ours.serve(ours.call("mutate", (None, None, None, None, self.types.Outer(), None))))
                ((numbers, pairs, set_, outer, plain, refused),) = ours.notes.taken
                self.assertEqual((numbers, pairs, set_), ([1, 2], {1: 2}, {1}))
                self.assertEqual(outer, self.types.Outer(lists={"b": [5]}))
                self.assertEqual(plain, self.types.Outer())
                self.assertEqual((refused.numbers, refused.why), ([1], "default"))
                numbers.append(9)
                pairs[9] = 9
                set_.add(9)
                refused.numbers.append(9)
                for struct in (outer, plain):
                    struct.inner.numbers.append(9)
                    struct.lists.setdefault("a", []).append(9)
                    struct.set_.clear()

    def test_every_result_has_fresh_defaults(self) -> None:
        """A peer of an older IDL leaves fields out, and the client fills them in."""
        for protocol in CODECS:
            ours = OurEnds(self.stub, protocol)
            for _ in range(3):
                ours.call("get", ())
                empty = self.stub.get_result(self.types.Outer(None, None, None, None))
                how, result = ours.settle(ours.codec.encode("get", TMessageType.REPLY, ours.seqid, empty))
                self.assertEqual((how, result.inner.numbers, result.lists), ("returns", [3], {"a": [1]}))
                result.inner.numbers.append(9)
                result.lists["a"].append(9)

    def test_new_structs_have_fresh_defaults(self) -> None:
        """Those that a program makes, also in exceptions and immutable structs; copies are equal."""
        repair_defaults(self.stub.mutate_args)
        repair_defaults(self.stub.get_result)
        repair_defaults(self.stub.frozen_result)
        for make in (self.types.Outer, self.types.Listed, self.types.Frozen, self.types.Refused, self.stub.mutate_args):
            first, second = make(), make()
            for field in make.thrift_spec[1:]:
                one, other = getattr(first, field[2]), getattr(second, field[2])
                self.assertEqual(one, other)
                if isinstance(one, (list, dict, set, self.types.Inner, self.types.Outer)):
                    self.assertIsNot(one, other)
            self.assertEqual(copy.deepcopy(first), first)
        self.assertEqual(pickle.loads(pickle.dumps(self.types.Outer())), self.types.Outer())

    def test_given_values_stay_as_they_are(self) -> None:
        """None is unset, and a value is the same object."""
        repair_defaults(self.stub.mutate_args)
        numbers = [1, 2]
        self.assertIs(self.stub.mutate_args(numbers).numbers, numbers)
        self.assertIsNone(self.stub.mutate_args(None).numbers)
        self.assertIsNone(self.types.Outer(inner=None).inner)

    def test_only_classes_with_defaults_that_can_be_changed_are_repaired(self) -> None:
        """The others are made as often, and as quickly, as before."""
        before = {make: make.__init__ for make in (self.types.Point, self.stub.get_args, self.stub.get_result)}
        repair_defaults(self.stub.get_result)
        repair_defaults(self.stub.get_args)
        for make, init in before.items():
            self.assertIs(make.__init__, init)
        repaired = self.types.Outer.__init__
        repair_defaults(self.types.Outer)
        self.assertIs(self.types.Outer.__init__, repaired)

    def test_stubs_of_other_compilers_are_repaired(self) -> None:
        """With slots; with a guard that works; with defaults that are no defaults of Python."""
        shared: list[int] = [1]

        class Slots:
            __slots__ = ("numbers",)
            thrift_spec = (None, (1, TType.LIST, "numbers", (TType.I32, None, False), [1]))

            def __init__(self, numbers: Any = shared) -> None:
                self.numbers = numbers

            def read(self, protocol: Any) -> None: ...

        class Guarded(Slots):
            __slots__ = ()

            def __init__(self, numbers: Any = None) -> None:
                super().__init__([1] if numbers is None else numbers)

        for make in (Slots, Guarded):
            repair_defaults(make)
            make().numbers.append(9)
            self.assertEqual(make().numbers, [1])


class CompiledStubTests(FreshDefaultTests):
    """The same with a stub of ``thrift-rpc compile``."""

    compile_stub = staticmethod(compile_stub)
