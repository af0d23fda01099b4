"""The text that we write as JSON is Thrift's, and each reads the text of the other."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from thrift.protocol.TProtocol import TProtocolException
from thrift.Thrift import TType
from twisted.trial.unittest import SynchronousTestCase

from rpc.envelope import CODECS
from rpc.errors import MalformedMessage
from rpc.stub import Stub
from rpc.validity import validity_check
from tests.stubs import compile_stub
from tests.unit.envelope_messages import escaped, plain_bytes, plain_value, read
from tests.unit.generated_ends import exactly
from tests.unit.test_generated_equality import EVERYTHING
from tests.values import structs

JSON = CODECS["json"]


class TextTests(SynchronousTestCase):
    """Messages with every type of the IDL."""

    stub: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.stub = compile_stub(EVERYTHING, "Everything")

    def test_text_equals_thrifts_for_every_type(self) -> None:
        """Each reads the text of the other."""
        messages = [
            struct
            for method in Stub.of(self.stub).methods.values()
            for struct in (method.arguments_class, method.result_class)
            if struct is not None and method.name != "keyed"
        ]

        @settings(max_examples=300)
        @given(st.sampled_from(messages).flatmap(structs), st.text(max_size=9), st.integers(-(2**31), 2**31 - 1))
        def check(struct: Any, name: str, seqid: int) -> None:
            body = JSON.encode(name, 1, seqid, struct)
            try:
                theirs = plain_bytes("json", name, 1, seqid, struct)
            except TProtocolException:  # stubs of newer compilers check required fields when they write
                self.assertRaises(TProtocolException, validity_check(type(struct)) or self.fail, struct)
                return
            self.assertEqual(body, escaped("json", theirs))
            self.assertEqual(json.loads(body)[:4], [1, name, 1, seqid])
            self.assertEqual(exactly(read(JSON, theirs, type(struct))), exactly(struct))
            header, value = plain_value("json", body, type(struct))
            self.assertEqual((header, exactly(value)), ((name, 1, seqid), exactly(struct)))

        check()

    @given(st.floats())
    def test_every_double_arrives(self, value: float) -> None:
        """Those that are not finite, too."""
        body = JSON.encode("real", 1, 1, self.stub.real_args(value))
        json.loads(body, parse_constant=self.fail)
        self.assertEqual(repr(read(JSON, body, self.stub.real_args).value), repr(value))

    def test_uuids_are_written_as_text(self) -> None:
        """As Thrift 0.25 does. The compilers that the tests run do not know the type."""

        class Named:
            thrift_spec = (None, (1, TType.UUID, "id", None, None), (2, TType.LIST, "ids", (TType.UUID, None, False)))

            def __init__(self, id: Any = None, ids: Any = None) -> None:
                self.id, self.ids = id, ids

        number = UUID("12345678-1234-5678-1234-567812345678")
        body = JSON.encode("f", 1, 1, Named(number, [number]))
        self.assertEqual(body, f'[1,"f",1,1,{{"1":{{"uid":"{number}"}},"2":{{"lst":["uid",1,"{number}"]}}}}]'.encode())
        found = read(JSON, body, Named)
        self.assertEqual((found.id, found.ids), (number, [number]))
        for wrong in (f"{{{number}}}", number.hex, "x", ""):
            self.assertRaises(MalformedMessage, read, JSON, body.replace(str(number).encode(), wrong.encode()), Named)
        for unfit in ("x", str(number), b"x" * 16):
            self.assertRaises(AttributeError, JSON.encode, "f", 1, 1, Named(unfit))
