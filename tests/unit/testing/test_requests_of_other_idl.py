"""Requests of a caller whose IDL is another version: the worker's answer names the field."""

from __future__ import annotations

from thrift.Thrift import TApplicationException, TMessageType, TType
from twisted.trial.unittest import TestCase

import rpc
from generated.calculator import Calculator
from rpc.envelope import CODECS, read_application_exception
from rpc.testing import Harness
from services.calculator import CalculatorHandler
from tests.unit.foreign_messages import PROTOCOLS, Fields, message


class OtherIDLTests(TestCase):
    """A calculator."""

    async def check(self, numbers: Fields, text: str) -> None:
        """Check that ``sum`` is answered with a PROTOCOL_ERROR that has this text, in each protocol."""
        async with Harness(rpc.ThriftService(Calculator, CalculatorHandler())) as harness:
            for protocol in PROTOCOLS:
                request = message(protocol, "sum", TMessageType.CALL, 5, [(1, TType.STRUCT, numbers)])
                reply = await harness.connection.call_raw("Calculator", request, protocol=protocol)
                codec = CODECS[protocol]
                error = read_application_exception(codec, reply.message, codec.read_header(reply.message)[3])
                self.assertEqual(error.type, TApplicationException.PROTOCOL_ERROR)
                self.assertIn(text, error.message)

    async def test_elements_of_another_type(self) -> None:
        """The decoders' own errors name no field."""
        await self.check(
            [(1, TType.LIST, (TType.STRING, ["1"]))],
            "the caller has sent string as an element of 'values' (field 1 of Numbers), which is i64 in this stub",
        )

    async def test_a_required_field_that_is_missing(self) -> None:
        """The caller's IDL is older."""
        await self.check([], "the caller has sent no 'values' (field 1 of Numbers), which is required")

    async def test_a_required_field_of_another_type(self) -> None:
        """Thrift skips it."""
        await self.check(
            [(1, TType.I32, 1)],
            "the caller has sent i32 as 'values' (field 1 of Numbers), which is list in this stub",
        )
