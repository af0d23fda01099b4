"""Calls over a real broker: the promises to callers and to handlers."""

from __future__ import annotations

import os
import sys
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TTransportException
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, DeferredList, gatherResults, inlineCallbacks

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Numbers, Work
from generated.shared.ttypes import SharedStruct
from rpc.envelope import CODECS
from tests.integration.call_case import CallTestCase, Handler, pause


class AnswerTests(CallTestCase):
    """Results."""

    async def test_every_kind_of_handler_answers_in_every_protocol(self) -> None:
        """PITFALLS, stubs 13: values, Deferreds, coroutines, inlineCallbacks, inherited methods."""
        client = await self.serve_and_call()
        for protocol in CODECS:
            speaking = rpc.with_options(client, protocol=protocol)
            self.assertEqual(await speaking.add(2, num2=3), 5)
            self.assertEqual(await speaking.sum(Numbers([1, 2, 2**40])), 2**40 + 3)
            self.assertEqual(await speaking.echo(Work(1, 2, comment="é𝄞")), Work(1, 2, comment="é𝄞"))
            self.assertEqual(await speaking.getStruct(5), SharedStruct(5, "text"))
            self.assertIsNone(await speaking.ping())
            self.assertIsNone(await speaking.zip())
            for data in (b"", b"\0", bytes(range(256)) * 1000):
                self.assertEqual(await speaking.blob(data), data)
            held = speaking.calculate(1, Work())
            await self.handler.holding(1)
            self.handler.release()
            self.assertEqual(await held, 7)

    async def test_large_bodies_come_back_equal(self) -> None:
        """Around the size of a frame, of a megabyte and of the limit."""
        client = await self.serve_and_call()
        for size in (1, 131072 - 50, 131072 - 8, 131072 + 1, 2**20, 2**24 - 100):
            data = os.urandom(size)
            self.assertTrue(await client.blob(data) == data, size)

    async def test_exceptions_of_the_idl_arrive_as_themselves(self) -> None:
        error = InvalidOperation(4, "zero")

        class Fails(Handler):
            def add(self, num1: int, num2: int) -> int:
                raise error

            async def sum(self, numbers: Numbers) -> int:
                raise error

            @inlineCallbacks
            def calculate(self, logid: int, w: Work) -> Any:
                yield pause()
                raise error

        client = await self.serve_and_call(Fails())
        for call in (client.add(1, 2), client.sum(Numbers([])), client.calculate(1, Work())):
            self.assertEqual(await self.assert_fails(call, InvalidOperation), error)

    async def test_other_errors_are_logged_and_the_caller_is_told_no_more(self) -> None:
        """PITFALLS, stubs 7 and 8: Thrift's transport errors too."""

        class Fails(Handler):
            def add(self, num1: int, num2: int) -> int:
                raise TTransportException(message="secret")

            async def sum(self, numbers: Numbers) -> int:
                raise ValueError("secret")

            @inlineCallbacks
            def echo(self, work: Work) -> Any:
                yield pause()
                raise SystemExit("secret")

            def blob(self, data: bytes) -> Any:
                sys.exit("secret")

            def getStruct(self, key: int) -> Any:
                return "no struct"

            def calculate(self, logid: int, w: Work) -> Any:
                return 2**31

        client = await self.serve_and_call(Fails())
        for name, arguments, logged in (
            ("add", (1, 2), TTransportException),
            ("sum", (Numbers([]),), ValueError),
            ("echo", (Work(),), SystemExit),
            ("blob", (b"",), SystemExit),
            ("getStruct", (1,), Exception),
            ("calculate", (1, Work()), OverflowError),
        ):
            error = await self.assert_fails(getattr(client, name)(*arguments), TApplicationException)
            self.assertEqual(error.type, TApplicationException.INTERNAL_ERROR)
            self.assertNotIn("secret", str(error))
            (failure,) = self.flushLoggedErrors()
            self.assertIsInstance(failure.value, logged)
            where = "encode" if name in ("getStruct", "calculate") else name
            self.assertIn(f"in {where}\n", failure.getTraceback())
        self.assertIsNone(await client.ping())

    async def test_a_oneway_call_fires_when_the_broker_has_it(self) -> None:
        """Errors of its handler are logged only."""

        class Slow(Handler):
            def zip(self) -> Any:
                self.ran.append("zip")
                return self.hold().addCallback(lambda _: 1 / 0)

        client = await self.serve_and_call(Slow())
        self.assertIsNone(await client.zip())
        await self.handler.holding(1)
        self.handler.release()
        self.assertIsNone(await client.ping())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.handler.ran, ["zip", "ping"])

    async def test_pipelined_calls_get_their_own_results(self) -> None:
        client = rpc.with_options(await self.serve_and_call(), timeout=120.0)  # a busy machine needs long
        results = await gatherResults([client.add(number, 1) for number in range(20_000)])
        self.assertEqual(results, list(range(1, 20_001)))
        self.assertEqual(client._caller.pending.calls, {})


class FailureTests(CallTestCase):
    """Errors."""

    async def test_a_service_without_a_worker_is_unavailable_at_once(self) -> None:
        """The same applies to an instance that is gone."""
        client = await self.serve_and_call()
        began = reactor.seconds()
        for name in (self.unique("Nobody"), f"{self.name}@nobody"):
            stranger = rpc.with_options(client, name=name)
            for call in (stranger.ping(), stranger.zip()):
                error = await self.assert_fails(call, rpc.ServiceUnavailable, rpc.Outcome.REJECTED)
                self.assertIn(name, str(error))
        self.assertLess(reactor.seconds() - began, 5)

    async def test_a_full_backlog_is_overloaded(self) -> None:
        """Accepted calls are answered."""
        client = await self.serve_and_call(concurrency=1, backlog=1)
        first = client.calculate(0, Work())
        await self.handler.holding(1)
        others = [client.calculate(number, Work()) for number in range(1, 6)]
        outcomes: Any = DeferredList(others, consumeErrors=True)
        refused = 0
        while sum(call.called for call in others) < 3:  # else there is room for them when others are released
            await pause(0.01)
        while not outcomes.called:
            await pause()
            self.handler.release()
        for success, result in await outcomes:
            if success:
                self.assertEqual(result, 7)
            else:
                refused += 1
                self.assertIsInstance(result.value, rpc.Overloaded)
                self.assertIs(result.value.outcome, rpc.Outcome.REJECTED)
        self.assertEqual(await first, 7)
        self.assertGreaterEqual(refused, 3)
        self.assertEqual(len(self.handler.ran), 6 - refused)

    async def test_messages_over_the_limits_are_rejected(self) -> None:
        """Of the client: not sent. Of the service: rejected. A reply: an error."""
        client = await self.serve_and_call(max_message_size=10_000)
        careful = rpc.with_options(client, max_message_size=5_000)
        await self.assert_fails(careful.blob(b"x" * 5_000), rpc.MessageTooLarge, rpc.Outcome.NOT_SENT)
        for protocol in CODECS:
            speaking = rpc.with_options(client, protocol=protocol)
            error = await self.assert_fails(speaking.blob(b"x" * 10_000), rpc.MessageTooLarge, rpc.Outcome.REJECTED)
            self.assertIn("max_message_size of 10000", str(error))
        self.execution()._handlers["blob"] = lambda data: data * 3
        too_large = await self.assert_fails(client.blob(b"x" * 5_000), TApplicationException)
        self.assertIn("too large", str(too_large))

    async def test_a_call_ends_at_its_deadline(self) -> None:
        """It leaves nothing, and its late reply finds no call."""
        client = await self.serve_and_call()
        impatient = rpc.with_options(client, timeout=0.2)
        await self.assert_fails(impatient.calculate(1, Work()), rpc.CallTimedOut, rpc.Outcome.UNKNOWN)
        self.assertEqual(client._caller.pending.calls, {})
        self.handler.release()
        self.assertEqual(await client.add(1, 2), 3)

    async def test_expired_requests_are_not_run(self) -> None:
        """The broker drops a request that expires in its queue."""
        client = await self.serve_and_call(concurrency=1)
        first = client.calculate(1, Work())
        await self.handler.holding(1)
        impatient = rpc.with_options(client, timeout=0.1)
        await DeferredList([impatient.calculate(number, Work()) for number in range(2, 5)], consumeErrors=True)
        channel = client._caller.channel  # the broker counts after the requests of this channel
        while (await channel.queue_declare(queue=f"rpc.{self.name}", passive=True)).message_count:
            await pause(0.02)  # the broker had the requests later than the callers began to wait
        self.handler.release()
        await first
        await client.ping()
        self.assertEqual(self.handler.ran, [1, "ping"])

    async def test_a_cancelled_call_harms_no_other(self) -> None:
        client = await self.serve_and_call()
        call, other = client.calculate(1, Work()), client.calculate(2, Work())
        await self.handler.holding(2)
        call.cancel()
        await self.assert_fails(call, CancelledError)
        self.handler.release()
        self.assertEqual(await other, 7)

    async def test_a_method_that_the_worker_lacks_is_unknown_method(self) -> None:
        """As a oneway it is no answer."""
        client = await self.serve_and_call()
        execution = self.execution()
        methods = execution._methods
        execution._methods = {name: methods[name] for name in methods if name not in ("add", "zip")}
        error = await self.assert_fails(client.add(1, 2), TApplicationException)
        self.assertEqual(error.type, TApplicationException.UNKNOWN_METHOD)
        await client.zip()
        self.assertIsNone(await client.ping())
        self.assertEqual(client._caller.incoming.late_replies, 0)


class WithReplyTests(CallTestCase):
    """Replies with their metadata, and calls without a stub."""

    async def test_with_reply_gives_value_and_metadata(self) -> None:
        client = await self.serve_and_call()
        for protocol in CODECS:
            speaking = rpc.with_options(client, protocol=protocol)
            self.assertEqual(await rpc.with_reply(speaking.add, 1, num2=2), rpc.Reply(3, {}))
        self.assertEqual(await rpc.with_reply(client.zip), rpc.Reply(None, {}))

    async def test_raw_messages_in_each_protocol(self) -> None:
        """The reply has the seqid of the request; an exception is a reply."""
        await self.serve_and_call()
        connection = await self.connect()
        stub: Any = Calculator
        for protocol, codec in CODECS.items():
            message = codec.encode("add", TMessageType.CALL, 2**31 - 1, stub.add_args(1, 2))
            reply = await connection.call_raw(self.name, message, protocol=protocol, headers={"a": 1}, timeout=10.0)
            expected = codec.encode("add", TMessageType.REPLY, 2**31 - 1, stub.add_result(3))
            self.assertEqual(reply, rpc.RawReply(expected, {}))
            unknown = codec.encode("unknown", TMessageType.CALL, 7, stub.add_args(1, 2))
            reply = await connection.call_raw(self.name, unknown, protocol=protocol)
            self.assertEqual(codec.read_header(reply.message)[:3], ("unknown", TMessageType.EXCEPTION, 7))

    async def test_raw_oneway_messages_are_run(self) -> None:
        client = await self.serve_and_call()
        connection = await self.connect()
        stub: Any = Calculator
        message = CODECS["binary"].encode("zip", TMessageType.ONEWAY, 0, stub.zip_args())
        self.assertEqual(await connection.call_raw(self.name, message), rpc.RawReply(b"", {}))
        await client.ping()
        self.assertIn("zip", self.handler.ran)

    async def test_raw_messages_to_no_service_are_unroutable(self) -> None:
        connection = await self.connect()
        message = CODECS["binary"].encode("ping", TMessageType.CALL, 1, Calculator.ping_args())  # type: ignore[attr-defined]
        await self.assert_fails(connection.call_raw(self.unique("none"), message), rpc.ServiceUnavailable)
