"""Fields without a number: they work in all protocols, with a warning that names them."""

from __future__ import annotations

import json
from typing import Any

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.protocol.TJSONProtocol import TJSONProtocol
from thrift.protocol.TProtocol import TProtocolBase
from thrift.Thrift import TMessageType
from thrift.transport.TTransport import TMemoryBuffer

from rpc.envelope import CODECS
from rpc.stub import Stub
from tests.stubs import compile_stub
from tests.unit.compiler.idl_files import IDLTestCase

_PLAIN: dict[str, type[TProtocolBase]] = {
    "binary": TBinaryProtocol,
    "compact": TCompactProtocol,
    "json": TJSONProtocol,
}

_IDL = """
struct Inner { i32 a, string b, 1: bool c, list<string> d = ["x"] }
struct Outer { 1: Inner inner, 2: list<Inner> inners }
exception Wrong { string why }
service S { Outer f(Outer outer, 1: i32 number) throws (Wrong wrong) }
"""


class WarningsTests(IDLTestCase):
    """The output of the command about them."""

    def test_warns_of_each_field_once(self) -> None:
        """In structs, arguments and throws, with the number that Thrift chooses. The compiler's own warning is left."""
        self.write(
            x="exception E {}\nstruct A {\n 1: i32 a,\n i32 b }\n"
            "service S {\n void f(i32 a,\n 2: i32 b)\n throws (E e) }"
        )
        told = [warning.partition(": Thrift")[0] for warning in self.warnings()]
        self.assertEqual(
            told,
            [
                "x.thrift:4: field b has no number above 0",
                "x.thrift:6: argument a has no number above 0",
                "x.thrift:8: exception e has no number above 0",
            ],
        )

    def test_warns_of_numbers_below_one(self) -> None:
        """0 and negative numbers, in the same words."""
        for number in ("0", "-3"):
            self.write(x=f"struct A {{\n {number}: i32 a }}\nservice S {{\n void f(\n {number}: i32 b) }}")
            told = [warning.partition(", and another")[0] for warning in self.warnings()]
            self.assertEqual(
                told,
                [
                    "x.thrift:2: field a has no number above 0: Thrift gives it -1",
                    "x.thrift:5: argument b has no number above 0: Thrift gives it -1",
                ],
            )

    def test_accepts_any_numbers_above_zero(self) -> None:
        """In any order."""
        self.write(x="struct A {\n 7: i32 a,\n 1: i32 b }\nservice S {\n void f(3: A a) }")
        self.assertEqual(self.compiled().warnings, ())

    def warnings(self) -> list[str]:
        """Return the warnings without the path of the folder."""
        return [warning.replace(f"{self.idl}/", "") for warning in self.compiled().warnings]


class UnnumberedTests(IDLTestCase):
    """Their values."""

    def test_has_the_bytes_of_thrifts_plain_protocols(self) -> None:
        """In both directions, also of a struct that only contains such a struct."""
        stub = compile_stub(_IDL, "S")
        outer = stub.Outer(stub.Inner(1, "b", True), [stub.Inner(d=[])])
        for protocol, plain in _PLAIN.items():
            for struct in (outer, stub.f_args(outer, 5), stub.f_result(wrong=stub.Wrong("no")), stub.f_result(outer)):
                transport = TMemoryBuffer()
                writer: Any = plain(transport)
                writer.writeMessageBegin("f", TMessageType.CALL, 7)
                struct.write(writer)
                writer.writeMessageEnd()
                codec, body = CODECS[protocol], transport.getvalue()
                written = codec.encode("f", TMessageType.CALL, 7, struct)
                if protocol == "json":  # the order of an object's members has no meaning
                    self.assertEqual(json.loads(written), json.loads(body))
                else:
                    self.assertEqual(written, body)
                start = codec.read_header(body)[3]
                self.assertEqual(codec.read_struct(body, start, type(struct)), struct)

    def test_is_an_exception_of_the_method(self) -> None:
        """The stub knows the result's fields, although the compiler describes none."""
        method = Stub.of(compile_stub(_IDL, "S")).methods["f"]
        self.assertEqual([name for name, _ in method.throws], ["wrong"])
        self.assertTrue(method.has_result)

    def test_has_its_default(self) -> None:
        """A copy for each struct."""
        stub = compile_stub(_IDL, "S")
        self.assertEqual(stub.Inner().d, ["x"])
        self.assertIsNot(stub.Inner().d, stub.Inner().d)
