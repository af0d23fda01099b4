"""A call's request as bytes, and its reply as a result."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from thrift.Thrift import TMessageType
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import Work as GeneratedWork
from rpc.amqp.codec.properties import decode_properties
from rpc.client.options import ClientOptions
from rpc.client.stub_operation import StubOperation
from rpc.envelope import CODECS
from rpc.errors import CodecError, InvalidReply, InvalidRequest
from rpc.stub import Stub

Calculator: Any = CalculatorStub
Work: Any = GeneratedWork


def operation(name: str = "add", **changes: Any) -> StubOperation:
    """An operation of Calculator, by a client with these options."""
    options = ClientOptions(**({"max_message_size": 1000} | changes))
    method = Stub.of(Calculator).methods[name]
    return StubOperation(
        method=method, name=name, oneway=method.oneway, options=options, service="Calculator", timeout=30.0
    )


class OperationTests(SynchronousTestCase):
    """Operation."""

    def test_takes_arguments_by_position_and_name(self) -> None:
        expected = CODECS["binary"].encode("add", TMessageType.CALL, 5, Calculator.add_args(1, 2))
        for arguments, keywords in (((1, 2), {}), ((1,), {"num2": 2}), ((), {"num2": 2, "num1": 1})):
            self.assertEqual(operation().encode(5, arguments, keywords), expected)

    def test_wrong_arguments_are_told_with_the_signature(self) -> None:
        for arguments, keywords, told in (
            ((1,), {}, "missing a required argument: 'num2'"),
            ((1, 2, 3), {}, "too many positional arguments"),
            ((1, 2), {"num3": 3}, "unexpected argument 'num3'"),
            ((1,), {"nmu2": 3}, "unexpected argument 'nmu2'"),
            ((), {"num1": 1, "a": 2, "b": 3}, "unexpected arguments 'a', 'b'"),
            (
                (1, 2),
                {"timeout": 3.0},
                "unexpected argument 'timeout'; an option is set by rpc.with_options(client, timeout=...)",
            ),
        ):
            error = self.assertRaises(TypeError, operation().encode, 1, arguments, keywords)
            self.assertEqual(str(error), f"Calculator.add(num1, num2): {told}")
            self.assertTrue(error.__suppress_context__ or error.__context__ is None)

    def test_names_the_argument_that_does_not_fit(self) -> None:
        """With its type, and that of the value."""
        for protocol in CODECS:
            for name, arguments, told in (
                ("add", (1, "2"), "add(num1, num2): argument 'num2': i32 expected, got str ("),
                ("add", (2**40, 2), "add(num1, num2): argument 'num1': i32 expected, got int ("),
                ("calculate", (1, {"num1": 1}), "calculate(logid, w): argument 'w': Work expected, got dict ("),
                ("calculate", (1, Work(num1="x")), "calculate(logid, w): w.num1: i32 expected, got str ("),
                ("blob", (1,), "blob(data): argument 'data': binary expected, got int ("),
            ):
                error = self.assertRaises(InvalidRequest, operation(name, protocol=protocol).encode, 1, arguments, {})
                self.assertIn(f"Calculator.{told}", str(error))

    def test_properties_are_the_same_inherited_or_not(self) -> None:
        """The template for most calls and the slow path for inherited metadata write the same properties."""
        asked = operation(headers={"a": 1}, priority=3)
        variable = (b"\x03a.5", b"1000")
        plain = decode_properties(asked.properties("replies", *variable, {}))
        inherited = decode_properties(asked.properties("replies", *variable, {"a": 1}))
        self.assertEqual(plain, inherited)
        self.assertEqual((plain.correlation_id, plain.expiration, plain.message_id), ("a.5", "1000", "a.5"))

    def test_requests_name_the_present_reply_queue(self) -> None:
        asked = operation()
        for queue in ("first", "second"):
            encoded = asked.properties(queue, b"\x015", b"1", {})
            self.assertEqual(decode_properties(encoded).reply_to, queue)

    def test_a_oneway_request_names_no_reply_queue(self) -> None:
        encoded = operation("zip").properties("replies", b"\x015", b"1", {"inherited": True})
        self.assertIsNone(decode_properties(encoded).reply_to)

    def test_options_that_amqp_cannot_express_raise_every_time(self) -> None:
        changed: list[object] = []
        asked_with_headers = operation(headers={"a": changed})
        changed.append(object())  # after the options were checked
        unchecked = ClientOptions()
        object.__setattr__(unchecked, "priority", 256)
        with_priority = attrs.evolve(operation(), options=unchecked)
        for asked in (asked_with_headers, with_priority, attrs.evolve(operation(), service="s" * 255)):
            for _ in range(2):
                self.assertRaises(CodecError, asked.properties, "replies", b"\x015", b"1", {})

    @given(st.binary(max_size=100), st.integers(0, 40))
    def test_any_bytes_give_a_result_or_an_invalid_reply(self, data: bytes, keep: int) -> None:
        for protocol, codec in CODECS.items():
            good = codec.encode("add", TMessageType.REPLY, 5, Calculator.add_result(3))
            asked = operation(protocol=protocol)
            self.assertEqual(asked.decode(5, good), (3, None))
            for body in (data, good[:keep] + data):
                try:
                    asked.decode(5, body)
                except InvalidReply as error:
                    self.assertIn("Calculator.add", str(error))
