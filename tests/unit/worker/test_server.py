"""The worker's end: each request settles once, also when its handler fails or its channel is lost."""

from __future__ import annotations

from typing import Any

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TMemoryBuffer, TTransportException
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import InvalidOperation, Work
from rpc.amqp.codec.properties import encode_properties
from rpc.context import CallContext, current_call
from rpc.envelope import CODECS, read_application_exception
from rpc.messages import Properties
from rpc.worker.republisher import Republisher
from rpc.worker.service import ThriftService
from tests.unit.logs import log_lines
from tests.unit.wire import Published, Wire
from tests.unit.worker.served import INSTANCE, WorkerInMemory

Calculator: Any = CalculatorStub

BINARY = CODECS["binary"]


class Handler:
    """A calculator whose ``add`` returns the answer that the test sets, and whose ``calculate`` waits.

    :ivar held: the Deferreds of ``calculate``, in order.
    """

    def __init__(self) -> None:
        self.held: list[Deferred[Any]] = []
        self.ran: list[str] = []
        self.answer: Any = lambda: 3

    def add(self, num1: int, num2: int) -> Any:
        self.ran.append("add")
        return self.answer()

    def calculate(self, logid: int, w: Work) -> Deferred[int]:
        self.ran.append(f"calculate {logid}")
        return self.hold()

    def hold(self) -> Deferred[Any]:
        """Wait for the test."""
        self.held.append(Deferred())
        return self.held[-1]

    def zip(self) -> Any:
        self.ran.append("zip")
        return self.answer()

    def getStruct(self, key: int) -> None: ...
    def ping(self) -> None: ...
    def sum(self, numbers: object) -> Any: ...
    def echo(self, work: Work) -> Any: ...
    def blob(self, data: bytes) -> bytes:
        answer = self.answer()
        return answer if isinstance(answer, bytes) else data


class ServingTestCase(SynchronousTestCase):
    """A service on a channel in memory. Consumer ``c1`` is of the worker's own queue, ``c2`` of the shared one."""

    def serve(self, republisher: Republisher | None = None, **options: Any) -> None:
        """Begin to serve.

        :param republisher: instead of one on a channel of its own.
        """
        self.wire = Wire()
        self.handler = Handler()
        service = ThriftService(CalculatorStub, self.handler, **options)
        self.worker = WorkerInMemory(self.wire, service, self.handler, republisher)

    def setUp(self) -> None:
        self.serve()

    def ask(self, name: str = "add", *arguments: Any, seqid: int = 7, oneway: bool = False, **properties: Any) -> int:
        """Deliver a request, and return its tag."""
        kind = TMessageType.ONEWAY if oneway else TMessageType.CALL
        struct = getattr(Calculator, f"{name}_args")(*(arguments or ((1, 2) if name == "add" else ())))
        given = {"reply_to": "amq.gen-replies", "correlation_id": "c"} | properties
        return self.wire.deliver(BINARY.encode(name, kind, seqid, struct), Properties(**given), "c2")

    def settled(self) -> list[tuple[str, int, bool]]:
        """Return the acks and rejects since the last call: method, tag, and multiple or requeue."""
        self.wire.clock.advance(0)
        acks = [("ack", *args) for args in self.wire.taken("basic.ack")]
        return acks + [("reject", *args) for args in self.wire.taken("basic.reject")]

    def reply(self) -> Published:
        """The one reply."""
        (published,) = self.wire.take()
        self.assertEqual(
            (published.exchange, published.routing_key, published.mandatory), ("", "amq.gen-replies", True)
        )
        return published

    def assert_internal_error(self) -> None:
        """The one reply is an INTERNAL_ERROR that says nothing, and nothing else is in it (as Thrift itself reads)."""
        protocol = TBinaryProtocol(TMemoryBuffer(self.reply().body))
        self.assertEqual(protocol.readMessageBegin()[1:], (TMessageType.EXCEPTION, 7))
        exception = TApplicationException()
        exception.read(protocol)
        self.assertEqual(exception.type, TApplicationException.INTERNAL_ERROR)
        self.assertNotIn("secret", str(exception))
        self.assertEqual(protocol.trans.read(1), b"")


class ReplyTests(ServingTestCase):
    """Replies, and rejections."""

    def test_consumes_every_queue_with_its_prefetch(self) -> None:
        """All queues are consumed with acks. Prefetch is the concurrency for the request queue, a large one for the own
        queue, and one for the quarantine.
        """
        self.assertEqual([args[1] for args in self.wire.taken("basic.qos")], [20_000, 64, 1])
        queues = [(args[1], args[4]) for args in self.wire.taken("basic.consume")]
        own = f"rpc.worker.{INSTANCE}.1"
        self.assertEqual(queues, [(own, False), ("rpc.Calculator", False), ("rpc.Calculator.quarantine", False)])

    def test_writes_a_result_and_acks_the_request(self) -> None:
        """A value, a Deferred and a coroutine are written, then acked."""

        async def later() -> int:
            return 3

        for answer in (lambda: 3, lambda: succeed(3), later):
            self.handler.answer = answer
            tag = self.ask()
            body = BINARY.encode("add", TMessageType.REPLY, 7, Calculator.add_result(3))
            published = self.reply()
            self.assertEqual((published.body, published.properties.correlation_id), (body, "c"))
            self.assertEqual(self.settled(), [("ack", tag, True)])

    def test_answers_with_an_exception_of_the_idl(self) -> None:
        """It is a field of the result (REPLY), and is not logged."""
        error = InvalidOperation(1, "why")
        self.handler.answer = lambda: (_ for _ in ()).throw(error)
        self.ask()
        body = BINARY.encode("add", TMessageType.REPLY, 7, Calculator.add_result(ouch=error))
        self.assertEqual(self.reply().body, body)

    def test_answers_other_errors_with_internal_error(self) -> None:
        """PITFALLS, stubs 7 and 8: any other error, a transport's and an exit too, is logged and an INTERNAL_ERROR."""
        for error in (ValueError("secret"), TTransportException(message="secret"), SystemExit("secret")):
            self.handler.answer = lambda error=error: (_ for _ in ()).throw(error)
            tag = self.ask()
            self.assert_internal_error()
            self.assertEqual(self.settled(), [("ack", tag, True)])
            (failure,) = self.flushLoggedErrors(type(error))
            self.assertIn("in add", failure.getTraceback())

    def test_replaces_a_result_that_does_not_encode(self) -> None:
        """PITFALLS, stubs 2: a reply that fails half-way is replaced, whole, by INTERNAL_ERROR; the next is sound."""
        for answer in ("text", 2**31, object(), InvalidOperation(1, "returned, not raised")):
            self.handler.answer = lambda answer=answer: answer
            self.ask()
            self.assert_internal_error()
            self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.handler.answer = lambda: (_ for _ in ()).throw(InvalidOperation("no number", "why"))  # type: ignore[arg-type]
        self.ask()
        self.assert_internal_error()
        self.flushLoggedErrors()
        self.handler.answer = lambda: 3
        self.ask()
        self.assertEqual(BINARY.read_header(self.reply().body)[1], TMessageType.REPLY)

    def test_passes_an_application_exception_on(self) -> None:
        """The caller gets it as it is."""
        self.handler.answer = lambda: (_ for _ in ()).throw(TApplicationException(0, "said so"))
        self.ask()
        body = self.reply().body
        self.assertEqual(read_application_exception(BINARY, body, BINARY.read_header(body)[3]).message, "said so")

    def test_does_not_send_a_reply_over_the_limit(self) -> None:
        """A reply over the limit is not sent, since a broker that takes no such message closes the channel."""
        self.serve(max_message_size=200)
        self.ask("blob", b"x" * 100)
        self.assertEqual(BINARY.read_header(self.reply().body)[1], TMessageType.REPLY)
        self.handler.answer = lambda: b"x" * 300
        self.ask("blob", b"x" * 100)
        self.assert_internal_error()

    def test_sends_no_reply_to_a_oneway(self) -> None:
        """A oneway gets no reply, not for an error either, and is acked when it is done. An unknown one becomes a dead
        letter, since its caller cannot be told.
        """
        tag = self.ask("zip", oneway=True)
        self.handler.answer = lambda: 1 / 0
        second = self.ask("zip", oneway=True)
        third = self.wire.deliver(BINARY.encode("none", TMessageType.ONEWAY, 1, Calculator.zip_args()), b"\0\0", "c2")
        self.assertEqual(self.settled(), [("ack", 1, True), ("ack", 2, True), ("ack", 3, True)])
        (letter,) = self.wire.take()
        self.assertEqual((tag, second, third, letter.exchange), (1, 2, 3, "rpc.dead"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_counts_replies_that_no_queue_takes(self) -> None:
        """A call without a reply queue runs as well."""
        self.ask(reply_to=None)
        self.assertEqual(self.wire.take(), [])
        self.ask()
        self.wire.give_back(self.reply())
        self.assertEqual(self.worker.server.lost_replies, 1)

    def test_makes_poison_a_dead_letter(self) -> None:
        """Its caller gets an exception, and the dead letter has the reason."""
        tag = self.wire.deliver(b"not Thrift", Properties(reply_to="amq.gen-replies"), "c2")
        answer, letter = self.wire.take()
        self.assertEqual(answer.routing_key, "amq.gen-replies")
        self.assertEqual((letter.exchange, letter.routing_key), ("rpc.dead", "Calculator@invalid"))
        self.assertEqual(letter.body, b"not Thrift")
        assert letter.properties.headers is not None
        self.assertIn("not a Thrift message", letter.properties.headers["rpc-dead-reason"])
        self.assertEqual(self.settled(), [("ack", tag, True)])

    def test_drops_headers_that_leave_no_space_for_the_reason(self) -> None:
        """Headers that leave no room for the reason in a frame give way to it."""
        limit = self.wire.peer.connection.max_body_frame
        properties = Properties(headers={"x": "x" * (limit - 40)}, app_id="a")
        self.assertLess(len(encode_properties(properties)) + 12, limit)
        tag = self.wire.deliver(b"not Thrift", properties, "c2")
        (letter,) = self.wire.take()
        self.assertEqual((list(letter.properties.headers or {}), letter.properties.app_id), (["rpc-dead-reason"], "a"))
        self.assertEqual(self.settled(), [("ack", tag, True)])

    def test_gives_the_handler_its_context(self) -> None:
        """The context is known while the handler runs, and not afterwards."""
        seen: list[Any] = []

        def answer() -> int:
            seen.append(current_call())
            return 3

        self.handler.answer = answer
        self.ask(message_id="m")
        self.assertEqual((seen[0].service, seen[0].method, seen[0].message_id), ("Calculator", "add", "m"))
        self.assertIsNone(current_call())


class SettlingTests(ServingTestCase):
    """When requests are acked, held, and given back."""

    def test_acks_after_the_reply_by_default(self) -> None:
        """At least once: a request is acked when its reply is written. Calls may end in any order."""
        tags = [self.ask("calculate", number, Work()) for number in range(3)]
        self.assertEqual(self.settled(), [])
        self.handler.held[1].callback(1)
        self.assertEqual(self.settled(), [("ack", tags[1], False)])
        self.handler.held[0].callback(1)
        self.handler.held[2].errback(InvalidOperation(1, ""))
        self.assertEqual(self.settled(), [("ack", tags[2], True)])

    def test_acks_before_the_handler_begins_on_request(self) -> None:
        """At most once: the handler begins when the broker has taken the ack, and the request is not acked again."""
        self.serve(acknowledge="before")
        self.wire.taken("basic.ack")
        tag = self.ask("calculate", 1, Work())
        self.assertEqual(self.handler.ran, [])
        self.assertEqual(self.settled(), [("ack", tag, True)])
        self.assertEqual(self.handler.ran, ["calculate 1"])
        self.handler.held[0].callback(1)
        self.wire.deliver(b"not Thrift", Properties(), "c2")
        self.assertEqual(self.settled(), [("ack", 2, True)])

    def test_runs_as_many_requests_as_the_limit_allows(self) -> None:
        """Further requests wait, unacked. Those that expire meanwhile do not run."""
        for acknowledge in ("after", "before"):
            self.serve(concurrency=2, acknowledge=acknowledge)
            for number in range(5):
                self.ask("calculate", number, Work(), expiration="1000" if number == 3 else "9000")
            self.wire.answer()
            self.assertEqual(self.worker.running, 2)
            self.wire.clock.advance(2)
            self.handler.held[0].callback(1)
            self.handler.held[1].callback(1)
            self.wire.settle()
            self.assertEqual(self.handler.ran, ["calculate 0", "calculate 1", "calculate 2", "calculate 4"])
            for held in self.handler.held[2:]:
                held.callback(1)
            self.assertEqual((self.settled()[-1], self.worker.running), (("ack", 5, True), 0))

    def test_begins_one_waiting_request_a_reactor_turn(self) -> None:
        """Large requests must leave time for heartbeats."""
        self.serve(concurrency=1)
        self.ask("calculate", 1, Work())
        for _ in range(3000):
            self.ask()
        self.handler.held[0].callback(1)
        for _ in range(3000):
            self.assertEqual(len(self.wire.take()), 1)
            (turn,) = [call for call in self.wire.clock.calls if call.func == self.worker.limiter._start_next]
            self.wire.clock.calls.remove(turn)
            turn.func()
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.clock.advance(0)
        self.assertEqual(self.settled(), [("ack", 3001, True)])

    def test_finishes_a_call_whose_channel_is_lost(self) -> None:
        """It is answered over the next channel and not acked. Requests that wait are forgotten.

        The queue of a direct request is gone with the channel, so the request does not come again.
        """
        self.serve(concurrency=1)
        self.ask("calculate", 1, Work())
        self.ask()
        self.wire.close_channel()
        self.worker.open()
        self.wire.taken("basic.qos")
        self.handler.held[0].callback(1)
        self.assertEqual((len(self.wire.take()), self.settled()), (1, []))
        self.assertEqual((self.handler.ran, self.worker.running), (["calculate 1"], 0))

    def test_explains_a_delivery_that_timed_out_once(self) -> None:
        """RabbitMQ closes one channel after another while a long call runs. The remedy is logged for the first."""
        said = log_lines(self)
        self.wire.close_channel()
        self.worker.open()
        self.assertNotIn("consumer_timeout=", "".join(said))
        for _ in range(2):
            self.wire.close_channel("PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out")
            self.worker.open()
        (told,) = [line for line in said if "consumer_timeout=" in line]
        self.assertIn("docs/operations.md", told)

    def test_logs_a_oneway_method_that_fails_and_answers_nothing(self) -> None:
        """A oneway method that fails is logged and gives no answer, also when it was sent as a CALL."""
        self.handler.answer = lambda: 1 / 0
        tag = self.ask("zip")
        self.assertEqual((self.wire.take(), self.settled()), ([], [("ack", tag, True)]))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_logs_a_handler_that_returns_none(self) -> None:
        """The IDL has a result, so the caller gets an error."""
        said = log_lines(self)
        self.handler.answer = lambda: None
        self.ask()
        self.assertIn("Calculator.add returned None", "".join(said))

    def test_rejections_do_not_flood_the_log(self) -> None:
        """A thousand rejections a second are one line a second, with their number, also when no other follows."""
        said = log_lines(self)
        for _ in range(1000):
            self.wire.deliver(b"junk", Properties(), "c2")
            self.wire.answer()
        self.wire.clock.advance(1)
        first, second = [line for line in said if "rejected" in line]
        self.assertIn("Calculator: rejected a request: ", first)
        self.assertIn("998 more within 1 s", second)

    def test_marks_the_context_of_an_answered_call(self) -> None:
        """Code that runs after the handler can see it."""
        seen: list[CallContext] = []

        def look() -> int:
            context = current_call()
            assert context is not None
            self.assertFalse(context.answered)
            seen.append(context)
            return 3

        self.handler.answer = look
        self.ask()
        self.assertTrue(seen[0].answered)


class DrainTests(ServingTestCase):
    """Stopping."""

    def test_stops_waiting_after_the_time_limit(self) -> None:
        """Both drains end then, and the call is still in progress."""
        self.ask("calculate", 1, Work())
        first, second = self.worker.drain(5.0), self.worker.drain(5.0)
        self.wire.answer()
        self.wire.clock.advance(4.9)
        self.assertNoResult(first)
        self.wire.clock.advance(0.1)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.worker.running, 1)
        self.handler.held[0].callback(1)

    def test_serves_again_after_a_stop(self) -> None:
        """After a stop and a new start, requests are run again."""
        drained = self.worker.drain(5.0)
        self.wire.settle()
        self.successResultOf(drained)
        self.worker.resume()
        self.wire.close_channel()
        self.worker.open()
        self.ask()
        self.assertEqual(self.handler.ran, ["add"])

    def test_republishes_waiting_requests_and_finishes_running_calls(self) -> None:
        """Waiting requests are republished. The drain ends when the running call is answered and acked."""
        self.serve(concurrency=1)
        first = self.ask("calculate", 1, Work())
        held = self.ask()
        drained = self.worker.drain(30.0)
        late = self.ask()
        self.assertEqual([args[0] for args in self.wire.taken("basic.cancel")], ["c2", "c3"])
        copies = self.wire.take()
        self.assertEqual([(copy.exchange, copy.routing_key) for copy in copies], [("", "rpc.Calculator")] * 2)
        self.assertEqual(self.settled(), [("ack", held, False), ("ack", late, False)])
        self.assertNoResult(drained)
        self.handler.held[0].callback(1)
        self.successResultOf(drained)
        self.assertEqual((len(self.wire.take()), self.wire.taken("basic.ack")), (1, [(first, True)]))

    def test_rejects_the_last_oneway_requests_for_this_worker_before_it_closes(self) -> None:
        """Its own queue ends with its connection, with every request in it. So the queue is unbound, and a request
        routed to it before is taken and becomes a dead letter.
        """
        self.worker.dispatcher.stop_accepting()
        left = self.worker.server.leave()
        body = BINARY.encode("zip", TMessageType.ONEWAY, 7, Calculator.zip_args())
        tag = self.wire.deliver(body, consumer="c1", routing_key=f"Calculator@{INSTANCE}")
        self.assertNoResult(left)
        self.wire.settle()
        self.successResultOf(left)
        unbound = [args[2:4] for args in self.wire.taken("queue.unbind")]
        self.assertEqual(unbound, [("rpc", f"Calculator@{INSTANCE}"), ("rpc.broadcast", "Calculator")])
        (letter,) = self.wire.take()
        self.assertEqual((letter.exchange, letter.routing_key, letter.body), ("rpc.dead", "Calculator@unserved", body))
        self.assertEqual((self.handler.ran, self.settled()), ([], [("ack", tag, True)]))

    def test_leaving_does_not_fail_without_a_channel(self) -> None:
        """A channel that is lost meanwhile has no own queue any more. Neither has a worker without one."""
        left = self.worker.server.leave()
        self.wire.close_channel()
        self.successResultOf(left)
        self.successResultOf(self.worker.server.leave())

    def test_ends_at_once_without_calls_in_progress(self) -> None:
        """When the broker has cancelled the consumers; without a channel at once."""
        drained = self.worker.drain(30.0)
        self.wire.answer()
        self.successResultOf(drained)
        never = WorkerInMemory(self.wire, ThriftService(CalculatorStub, Handler()), Handler(), opened=False)
        self.successResultOf(never.drain(30.0))

    def test_ends_a_drain_whose_channel_is_lost(self) -> None:
        """The next channel consumes the worker's own queue only."""
        self.ask("calculate", 1, Work())
        drained = self.worker.drain(30.0)
        self.wire.close_channel()
        self.worker.open()
        self.assertEqual(len(self.wire.taken("basic.consume")), 3 + 1)  # of the second channel its own queue alone
        self.assertNoResult(drained)
        self.handler.held[0].callback(1)
        self.successResultOf(drained)

    def test_does_not_consume_when_it_stops_before_it_is_set_up(self) -> None:
        """It would only republish the requests that it gets, again and again."""
        wire = Wire()
        worker = WorkerInMemory(wire, ThriftService(CalculatorStub, Handler()), Handler(), opened=False)
        channel = wire.peer.channel()
        channel.on_closed = worker.server.lost
        opened = worker.server.opened(channel)
        drained = worker.drain(30.0)
        wire.settle()
        self.successResultOf(opened)
        self.successResultOf(drained)
        self.assertEqual([args[1] for args in wire.taken("basic.consume")], [f"rpc.worker.{INSTANCE}.1"])
