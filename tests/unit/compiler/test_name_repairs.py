"""Repairs of names in generated modules."""

from __future__ import annotations

from thrift.Thrift import TApplicationException
from twisted.trial.unittest import SynchronousTestCase

from rpc.compiler.name_repairs import rename_keywords
from tests.stubs import compile_stub
from tests.unit.generated_ends import FACTORIES, ThriftEnds


class ExceptionTests(SynchronousTestCase):
    """A struct of the IDL that is called Exception."""

    def test_the_generated_processor_still_catches_every_exception(self) -> None:
        """That of the IDL, and others."""
        stub = compile_stub(
            "exception Exception { 1: string why } service S { i32 f() throws (1: Exception error) }", "S"
        )
        ends = ThriftEnds(stub, FACTORIES["binary"][0])
        for answer, expected in (
            (stub.Exception("no"), stub.Exception),
            (ZeroDivisionError(), TApplicationException),
        ):
            ends.notes.answer = "raises", answer
            request = ends.call("f", (), 1)
            if expected is TApplicationException:
                with self.assertLogs():
                    reply = ends.serve(request)
            else:
                reply = ends.serve(request)
            self.assertIs(type(ends.settle(reply)[1]), expected)


class ArgumentTests(SynchronousTestCase):
    """Arguments with the names of the generated client's variables."""

    def test_the_generated_client_sends_them_beside_structs_with_fields_called_like_methods(self) -> None:
        """Both are repaired in the same lines."""
        stub = compile_stub(
            "struct P { 1: bool read } service S { i32 f(1: string args, 2: string oprot, 3: P p) }", "S"
        )
        ends = ThriftEnds(stub, FACTORIES["binary"][0])
        ends.notes.answer = "returns", 7
        arguments = ("a", "b", stub.ttypes.P(True))
        self.assertEqual(ends.settle(ends.serve(ends.call("f", arguments, 9))), ("returns", 7))
        self.assertEqual(ends.notes.taken, [arguments])

    def test_the_generated_client_sends_them(self) -> None:
        """All of them, and some with others."""
        stub = compile_stub(
            "service S { i32 f(1: i32 seqid, 2: i32 args, 3: string oprot, 4: bool defer),"
            "i32 g(1: i32 args, 2: i32 b),"
            "oneway void h(1: i32 b, 2: i32 seqid) }",
            "S",
        )
        for name, arguments in (("f", (1, 2, "x", True)), ("g", (3, 4)), ("h", (5, 6))):
            ends = ThriftEnds(stub, FACTORIES["binary"][0])
            ends.notes.answer = "returns", 7
            reply = ends.serve(ends.call(name, arguments, 9))
            self.assertEqual(ends.notes.taken, [arguments])
            if reply:
                self.assertEqual(ends.settle(reply), ("returns", 7))


class RenameKeywordsTests(SynchronousTestCase):
    """Lines as newer Thrift compilers (0.24) write them, without the underscore. Older ones refuse such an IDL."""

    def repaired(self, text: str, expected: str, module: str = "ttypes") -> None:
        self.assertEqual(rename_keywords(text, module), expected)

    def test_the_specification_has_the_names_of_the_attributes(self) -> None:
        """The accelerated protocols read and write by it."""
        self.repaired(
            "A.thrift_spec = (\n    (1, TType.STRING, 'from', 'UTF8', None, ),  # 1\n)\n",
            "A.thrift_spec = (\n    (1, TType.STRING, 'from_', 'UTF8', None, ),  # 1\n)\n",
        )

    def test_an_immutable_struct_sets_the_attributes_that_it_reads(self) -> None:
        """Exceptions are immutable."""
        self.repaired("super(E, self).__setattr__('raise', raise_)", "super(E, self).__setattr__('raise_', raise_)")

    def test_a_processor_catches_into_the_attribute_of_the_result(self) -> None:
        """Also an exception of another module."""
        self.repaired(
            "    except is as in:\n        result.in = in\n", "    except is_ as in_:\n        result.in_ = in_\n"
        )
        self.repaired("    except a.ttypes.is as e:\n        pass\n", "    except a.ttypes.is_ as e:\n        pass\n")

    def test_a_required_field_is_checked_by_its_name_in_python(self) -> None:
        """In ``validate``."""
        self.repaired("    if self.from is None:\n        pass\n", "    if self.from_ is None:\n        pass\n")

    def test_constants_and_their_structs(self) -> None:
        """A key of a map keeps its name."""
        self.repaired(
            'try = A(**{\n    "from": {"from": "é"},\n})\n',
            'try_ = A(**{\n    "from_": {"from": "é"},\n})\n',
            "constants",
        )

    def test_leaves_other_text_as_it_is(self) -> None:
        """Names on the wire, and names that only contain a keyword."""
        for text in (
            "oprot.writeFieldBegin('from', TType.STRING, 1)\n",
            "    (1, TType.STRING, 'fromage', 'UTF8', None, ),\n",
            "try:\n    pass\nexcept E as e:\n    result.e = e\n",
        ):
            self.repaired(text, text)
