"""Reply headers from end to end: a handler sets them, the broker carries them, and the caller reads them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet import reactor as global_reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Numbers, Work
from rpc.envelope import CODECS
from rpc.errors import CodecError
from rpc.stub import Stub
from rpc.testing import Harness
from rpc.worker.execution import LARGEST_REPLY_HEADERS
from services.calculator import CalculatorHandler

reactor: Any = global_reactor

DIVISION_BY_ZERO = Work(1, 0, 4)

VALUES: dict[str, Any] = {
    "text": "hit",
    "empty text": "",
    "text beyond ASCII": "näher",
    "bytes": b"\x00\xff",
    "true": True,
    "false": False,
    "small number": -1,
    "large number": 2**63 - 1,
    "fraction": 0.25,
    "decimal": Decimal("12.50"),
    "moment": datetime(2024, 2, 29, 12, 30, tzinfo=timezone.utc),
    "nothing": None,
    "list": [1, "two", [3.0]],
    "table": {"a": {"b": [True, None]}},
}
"""One value of each kind that AMQP has."""

NO_AMQP_VALUES = (object(), {1, 2}, 2**64, 1j, datetime(2024, 2, 29), {"a": object()}, {1: "a"})


class SettingHandler(CalculatorHandler):
    """A calculator that sets reply headers in each method."""

    def __init__(self, set_headers: Callable[[dict[str, Any]], object]) -> None:
        super().__init__()
        self._set_headers = set_headers

    def _note(self) -> None:
        call = rpc.current_call()
        assert call is not None
        self._set_headers(call.reply_headers)

    def ping(self) -> None:
        self._note()

    def calculate(self, logid: int, w: Work) -> int:
        self._note()
        return super().calculate(logid, w)

    def zip(self) -> None:
        self._note()

    async def sum(self, numbers: Numbers) -> int:  # type: ignore[override]  # a handler may answer later
        await deferLater(reactor, 0)
        self._note()
        return super().sum(numbers)


def setting(**headers: Any) -> rpc.ThriftService:
    """A calculator that sets these headers."""
    return rpc.ThriftService(Calculator, SettingHandler(lambda reply_headers: reply_headers.update(headers)))


class ReplyHeaderTests(TestCase):
    """rpc.current_call().reply_headers and rpc.with_reply, on the embedded broker."""

    timeout = 20.0

    async def test_a_caller_reads_what_the_handler_set(self) -> None:
        """The reply has the result and the headers; the method itself gives the result alone."""
        async with Harness(setting(cache="hit")) as harness:
            client = harness.client(Calculator)
            reply = await rpc.with_reply(client.calculate, 1, Work(2, 3))
            self.assertEqual(reply, rpc.Reply(5, {"cache": "hit"}))
            self.assertEqual(await client.calculate(1, Work(2, 3)), 5)

    async def test_a_coroutine_sets_them_after_it_has_waited(self) -> None:
        """The call is still the current one."""
        async with Harness(setting(cache="miss")) as harness:
            reply = await rpc.with_reply(harness.client(Calculator).sum, Numbers([1, 2]))
            self.assertEqual(reply, rpc.Reply(3, {"cache": "miss"}))

    async def test_each_kind_of_value_arrives_as_it_was_set(self) -> None:
        """Also its type: True is not 1."""
        async with Harness(setting(**VALUES)) as harness:
            reply = await rpc.with_reply(harness.client(Calculator).ping)
            self.assertEqual(reply.headers, VALUES)
            kinds = {name: type(value) for name, value in reply.headers.items()}
            self.assertEqual(kinds, {name: type(value) for name, value in VALUES.items()})

    async def test_every_protocol_carries_them(self) -> None:
        """They are headers of the AMQP message, not of Thrift's."""
        async with Harness(setting(cache="hit")) as harness:
            for protocol in CODECS:
                reply = await rpc.with_reply(harness.client(Calculator, protocol=protocol).ping)
                self.assertEqual(reply, rpc.Reply(None, {"cache": "hit"}))

    async def test_names_of_the_framework_and_of_routing_are_left_out(self) -> None:
        """A handler cannot send its reply elsewhere, or make it a rejection."""
        headers = {"rpc-outcome": "overloaded", "CC": ["rpc.Calculator"], "BCC": ["rpc.Calculator"], "cache": "hit"}
        async with Harness(setting(**headers)) as harness:
            reply = await rpc.with_reply(harness.client(Calculator).ping)
            self.assertEqual(reply, rpc.Reply(None, {"cache": "hit"}))

    async def test_a_oneway_call_has_no_headers(self) -> None:
        """Nothing is replied; the handler's headers are dropped, and the worker goes on."""
        async with Harness(setting(cache="hit")) as harness:
            client = harness.client(Calculator)
            self.assertEqual(await rpc.with_reply(client.zip), rpc.Reply(None, {}))
            await client.ping()
            self.assertEqual([call.method for call in harness.calls], ["zip", "ping"])

    async def test_a_oneway_method_may_set_a_value_that_amqp_does_not_have(self) -> None:
        """There is no reply that could fail."""
        async with Harness(setting(cache=object())) as harness:
            client = harness.client(Calculator)
            await client.zip()
            with self.assertRaises(TApplicationException):
                await client.ping()  # behind the oneway request
        self.assertEqual(len(self.flushLoggedErrors(CodecError)), 1)

    async def test_an_exception_of_the_idl_is_raised_without_them(self) -> None:
        """The caller gets the exception itself; the headers are in the message, where call_raw shows them."""
        async with Harness(setting(cache="hit")) as harness:
            with self.assertRaises(InvalidOperation) as caught:
                await rpc.with_reply(harness.client(Calculator).calculate, 1, DIVISION_BY_ZERO)
            self.assertEqual(caught.exception.why, "division by 0")
            arguments = Stub.of(Calculator).methods["calculate"].arguments_class(1, DIVISION_BY_ZERO)
            request = CODECS["binary"].encode("calculate", TMessageType.CALL, 7, arguments)
            raw = await harness.connection.call_raw("Calculator", request)
            self.assertEqual(raw.headers, {"cache": "hit"})

    async def test_a_value_that_amqp_does_not_have_is_an_internal_error(self) -> None:
        """The error is in the worker's log, and the worker goes on."""
        for value in NO_AMQP_VALUES:
            async with Harness(setting(cache=value)) as harness:
                for _ in range(2):
                    with self.assertRaises(TApplicationException) as caught:
                        await rpc.with_reply(harness.client(Calculator).ping)
                    self.assertEqual(caught.exception.type, TApplicationException.INTERNAL_ERROR)
            self.assertEqual(len(self.flushLoggedErrors(CodecError)), 2)

    async def test_headers_that_fit_no_frame_are_an_internal_error(self) -> None:
        """The caller is told at once, and does not wait for its deadline."""
        headers = {"cache": "a" * (LARGEST_REPLY_HEADERS - 4 - 6 - 5)}  # length; name; type and length
        async with Harness(setting(**headers)) as harness:
            reply = await rpc.with_reply(harness.client(Calculator).ping)
            self.assertEqual(reply.headers, headers)
        headers["cache"] += "a"
        async with Harness(setting(**headers)) as harness:
            with self.assertRaises(TApplicationException) as caught:
                await rpc.with_reply(harness.client(Calculator).ping)
            self.assertEqual(caught.exception.type, TApplicationException.INTERNAL_ERROR)
        self.assertEqual(len(self.flushLoggedErrors(CodecError)), 1)
