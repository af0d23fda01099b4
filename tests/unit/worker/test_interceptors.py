"""Interceptors of a worker: the facts that they see, and refusals. Each call ends once, also when one of them fails."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from zope.interface.verify import verifyObject

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import InvalidOperation
from rpc.context import current_call
from rpc.errors import AccessDenied, ConfigurationError, Outcome, Overloaded, ServiceUnavailable
from rpc.hosting import Worker
from rpc.interceptors import IWorkerInterceptor, WorkerInterceptor
from rpc.worker.call import Ending, WorkerCall
from rpc.worker.intercepted import InterceptedExecution
from rpc.worker.service import ThriftService
from tests.unit.test_hot_path import count_functions
from tests.unit.wire import Published
from tests.unit.worker.again_case import BINARY, AgainTestCase, Calculator
from tests.unit.worker.served import OWN, SHARED
from tests.unit.worker.test_server import Handler

USER: ContextVar[str] = ContextVar("user", default="nobody")


class Recorder(WorkerInterceptor):
    """Notes the events of calls.

    :ivar answer: the action of ``before``.
    """

    def __init__(self, name: str = "", told: list[Any] | None = None) -> None:
        self.name = name
        self.told: list[Any] = [] if told is None else told
        self.calls: list[WorkerCall] = []
        self.answer: Any = lambda call: None

    def _note(self, event: str, call: WorkerCall) -> None:
        self.told.append(f"{self.name}{event}")
        self.calls.append(call)

    def before(self, call: WorkerCall) -> Any:
        self._note("before", call)
        return self.answer(call)

    def after(self, call: WorkerCall) -> None:
        self._note("after", call)

    def failed(self, call: WorkerCall) -> None:
        self._note("failed", call)

    def rejected(self, call: WorkerCall) -> None:
        self._note("rejected", call)


class Ends(Recorder):
    """Has no ``before``, so it is told by another execution."""

    before = WorkerInterceptor.before

    def __init__(self, told: list[Any], calls: list[WorkerCall]) -> None:
        super().__init__("", told)
        self.calls = calls


def raising(error: BaseException) -> Any:
    """Return a function that raises `error`."""

    def fails(*_: object) -> Any:
        raise error

    return fails


class InterceptorTestCase(AgainTestCase):
    """A service with one interceptor."""

    def setUp(self) -> None:
        self.recorder = Recorder()
        self.serve(interceptors=[self.recorder])

    @property
    def told(self) -> list[str]:
        """The events that the interceptor was told."""
        return self.recorder.told

    @property
    def call(self) -> WorkerCall:
        """The last call."""
        return self.recorder.calls[-1]

    def outcome(self, published: Published) -> Any:
        """The outcome word of a reply."""
        return (published.properties.headers or {}).get("rpc-outcome")

    def assert_nothing_left(self) -> None:
        """No slot is taken, and no call is in a table."""
        self.assertEqual((self.worker.running, len(self.worker.in_progress)), (0, 0))
        self.assertEqual(self.worker.dispatcher._execution._seen, {})  # type: ignore[attr-defined]


class SeeingTests(InterceptorTestCase):
    """The facts that interceptors see."""

    def test_sees_a_call_from_its_beginning_to_its_end(self) -> None:
        """Every kind of result: a value, a Deferred and a coroutine."""

        async def later() -> int:
            return 3

        for answer in (lambda: 3, lambda: succeed(3), later):
            self.handler.answer = answer
            tag = self.request("add")
            self.assertEqual(BINARY.read_header(self.reply().body)[1], TMessageType.REPLY)
            self.assertEqual(self.acked(), [tag])
        self.assertEqual(self.told, ["before", "after"] * 3)
        self.assertIs(self.call.ending, Ending.RETURNED)
        self.assert_nothing_left()

    def test_sees_the_facts_of_a_request(self) -> None:
        """Names, headers, times, sizes, and the sender."""
        self.wire.clock.advance(5)
        now = self.wire.clock.seconds()
        headers = {"a": 1, "rpc-attempt": 2, "rpc-deliveries": 1}
        given: dict[str, Any] = {
            "headers": headers,
            "expiration": "2000",
            "message_id": "m",
            "user_id": "ada",
            "app_id": "ask",
        }
        seen: list[Any] = []

        def look(call: WorkerCall) -> None:
            seen.append((call.ending, call.ended, call.error, call.reply_size, current_call()))

        self.recorder.answer = look
        self.request("calculate", **given)
        self.wire.clock.advance(0.5)
        self.handler.held[0].callback(9)
        call = self.call
        self.assertEqual((call.service, call.method, call.label), ("Calculator", "calculate", "Calculator.calculate"))
        self.assertEqual(
            (call.user_id, call.app_id, call.reply_to, call.message_id), ("ada", "ask", "amq.gen-replies", "m")
        )
        self.assertEqual((call.attempt, call.redelivered, call.oneway), (2, True, False))
        self.assertEqual((dict(call.headers), call.metadata), (headers, {"a": 1}))
        self.assertEqual((call.arrived, call.began, call.ended, call.deadline), (now, now, now + 0.5, now + 2))
        (published,) = self.wire.take()
        self.assertEqual(call.reply_size, len(published.body))
        self.assertGreater(call.request_size, 20)
        self.assertEqual(call.protocol, "application/vnd.apache.thrift.binary")
        (begun,) = seen
        self.assertEqual(begun[:4], (None, None, None, 0))
        self.assertEqual((begun[4].method, begun[4].user_id, begun[4].app_id), ("calculate", "ada", "ask"))

    def test_sees_how_long_a_request_waited_for_a_slot(self) -> None:
        """From its arrival on."""
        self.serve(interceptors=[self.recorder], concurrency=1)
        self.request()
        self.request("add")
        self.wire.clock.advance(3)
        self.handler.held[0].callback(1)
        self.wire.settle()
        self.assertEqual(self.call.began - self.call.arrived, 3)

    def test_sees_each_end(self) -> None:
        """The caller gets the same as without interceptors."""
        declared = InvalidOperation(1, "why")
        own = TApplicationException(99, "own")
        cases = (
            (raising(declared), Ending.RAISED, declared),
            (raising(own), Ending.RAISED, own),
            (lambda: fail(ValueError("secret")), Ending.FAILED, ValueError),
            (lambda: "text", Ending.FAILED, Exception),
        )
        for answer, ending, error in cases:
            self.handler.answer = answer
            self.told.clear()
            tag = self.request("add")
            self.assertEqual((self.told, self.call.ending), (["before", "failed"], ending))
            if isinstance(error, type):
                self.assertIsInstance(self.call.error, error)
                self.assertEqual(len(self.flushLoggedErrors()), 1)
                self.assert_internal_error()
            else:
                self.assertIs(self.call.error, error)
                self.reply()
            self.assertEqual(self.acked(), [tag])
        self.assert_nothing_left()

    def test_sees_replies_that_are_not_sent(self) -> None:
        """They are too large, or their headers are no values that AMQP has."""
        self.serve(interceptors=[self.recorder], max_message_size=200)
        self.handler.answer = lambda: b"x" * 300
        self.request("blob")
        self.assertEqual((self.told, self.call.ending), (["before", "failed"], Ending.FAILED))
        self.assert_internal_error()

        def set_headers() -> bytes:
            current: Any = current_call()
            current.reply_headers["a"] = object()
            return b""

        self.handler.answer = set_headers
        self.told.clear()
        self.request("blob")
        self.assertEqual((self.told, self.call.ending), (["before", "failed"], Ending.FAILED))
        self.assert_internal_error()
        self.flushLoggedErrors()

    def test_sees_cancellation_and_deadline(self) -> None:
        """The handler is cancelled, and there is no reply."""
        tag = self.request(expiration="1000")
        self.wire.clock.advance(1.01)
        self.assertEqual((self.told, self.call.ending), (["before", "failed"], Ending.CANCELLED))
        self.assertIsInstance(self.call.error, CancelledError)
        self.assertEqual((self.acked(), self.wire.take()), ([tag], []))

    def test_sees_oneway_requests(self) -> None:
        """They end without a reply."""
        tag = self.request("zip", reply_to=None)
        self.assertEqual((self.told, self.call.oneway), (["before", "after"], True))
        self.handler.answer = raising(ValueError())
        second = self.request("zip", reply_to=None)
        self.assertEqual((self.told[2:], self.call.ending), (["before", "failed"], Ending.FAILED))
        self.assertEqual((self.acked(), self.wire.take()), ([tag, second], []))
        self.flushLoggedErrors()

    def test_is_told_of_requests_that_never_begin(self) -> None:
        """Malformed, too large, of no method, and delivered too often."""
        self.serve(interceptors=[self.recorder], max_message_size=200, redelivery_limit=1)
        for body, size in ((b"junk", 4), (b"x" * 300, 300)):
            self.wire.deliver(body, b"\0\0", SHARED)
            self.assertEqual((self.told.pop(), self.call.ending), ("rejected", Ending.REJECTED))
            self.assertEqual((self.call.dead_letter, self.call.request_size), (True, size))
        self.wire.deliver(BINARY.encode("none", TMessageType.CALL, 1, Calculator.zip_args()), b"\0\0", SHARED)
        self.assertEqual((self.told.pop(), self.call.method), ("rejected", "none"))
        self.request("add", again=True, headers={"rpc-deliveries": 1}, message_id="m")
        self.assertEqual((self.told.pop(), self.call.method, self.call.dead_letter), ("rejected", "add", True))
        self.assertIsInstance(self.call.error, TApplicationException)
        self.wire.settle()
        self.assert_nothing_left()

    def test_is_told_of_requests_that_are_dropped(self) -> None:
        """They waited for a slot until their deadline, or were cancelled meanwhile. There is no reply."""
        for interceptor in (self.recorder, Ends(self.recorder.told, self.recorder.calls)):
            self.serve(interceptors=[interceptor], concurrency=1)
            self.handler.held.clear()
            self.request("calculate")
            expired = self.request("add", message_id="m1", expiration="1000")
            cancelled = self.request("zip", message_id="m2")
            self.worker.dispatcher.cancel([b"m2"])
            self.wire.clock.advance(2)
            self.told.clear()
            self.handler.held[0].callback(9)
            self.wire.clock.advance(0)
            self.wire.clock.advance(0)
            self.assertEqual(self.told, ["after", "rejected", "rejected"])
            for call, method in zip(self.recorder.calls[-2:], ("add", "zip"), strict=True):
                self.assertEqual((call.method, call.ending, call.is_known), (method, Ending.DROPPED, True))
                self.assertIsInstance(call.error, CancelledError)
                self.assertFalse(call.dead_letter)
            self.reply()
            self.assertTrue({expired, cancelled} <= set(self.acked()))
            self.assert_nothing_left()

    def test_sees_arguments_that_cannot_be_decoded(self) -> None:
        """``before`` has admitted the call: it fails."""
        body = BINARY.encode("add", TMessageType.CALL, 1, Calculator.add_args(1, 2))[:-3]
        self.wire.deliver(body, b"\0\0", SHARED)
        self.assertEqual((self.told, self.call.ending), (["before", "failed"], Ending.REJECTED))
        self.assertTrue(self.call.dead_letter)
        self.assertEqual(self.handler.ran, [])
        self.wire.settle()
        self.assert_nothing_left()


class ChainTests(InterceptorTestCase):
    """Several interceptors, and their changes."""

    def test_the_first_is_the_outermost(self) -> None:
        """Those of the worker come before those of the service."""
        told: list[str] = []
        outer, inner = Recorder("outer ", told), Recorder("inner ", told)
        self.serve(interceptors=[outer, inner])
        self.request("add")
        self.assertEqual(told, ["outer before", "inner before", "inner after", "outer after"])

    def test_a_refusal_is_told_to_those_that_have_admitted(self) -> None:
        """The one that refuses, and those behind it, are not told."""
        told: list[str] = []
        chain = [Recorder("a ", told), Recorder("b ", told), Recorder("c ", told)]
        chain[1].answer = raising(AccessDenied("no"))
        self.serve(interceptors=chain)
        self.request("add")
        self.assertEqual(told, ["a before", "b before", "a failed"])
        self.assertIs(chain[0].calls[-1].ending, Ending.REFUSED)
        self.assertIsInstance(chain[0].calls[-1].error, AccessDenied)

    def test_changes_what_the_handler_sees(self) -> None:
        """Metadata, and context variables, which do not leak into the next request."""
        seen: list[Any] = []

        def change(call: WorkerCall) -> None:
            seen.append(USER.get())
            USER.set("ada")
            call.metadata["user"] = "ada"

        async def look() -> int:
            seen.append((USER.get(), dict(current_call().metadata)))  # type: ignore[union-attr]
            await self.handler.hold()
            seen.append((USER.get(), dict(current_call().metadata)))  # type: ignore[union-attr]
            return 1

        self.recorder.answer = change
        self.handler.answer = look
        for headers in (None, {"a": 1}):
            self.request("add", headers=headers)
            USER.set("somebody")
            self.handler.held.pop().callback(None)
            expected = ("ada", {**(headers or {}), "user": "ada"})
            self.assertEqual((seen[1:3], self.reply().properties.headers), ([expected] * 2, None))
            self.assertEqual(seen.pop(0), "nobody" if headers is None else "somebody")
            seen.clear()
        USER.set("nobody")

    def test_adds_headers_to_the_reply(self) -> None:
        """In ``before`` and ``after``. Those that cannot be sent become an INTERNAL_ERROR."""
        values: list[Any] = [object(), 2]
        self.recorder.answer = lambda call: call.reply_headers.update(a=1)
        self.recorder.after = lambda call: call.reply_headers.update(b=values.pop())  # type: ignore[method-assign]
        self.serve(interceptors=[self.recorder])
        self.request("add")
        self.assertEqual(self.reply().properties.headers, {"a": 1, "b": 2})
        tag = self.request("add")
        self.assert_internal_error()
        self.assertEqual(self.acked(), [1, tag])
        self.flushLoggedErrors()

    def test_rejected_of_the_base_class_is_not_called(self) -> None:
        """A request that cannot be read is rejected all the same."""
        self.serve(interceptors=[WorkerInterceptor()])
        counted = count_functions(lambda: self.wire.deliver(b"junk", b"\0\0", SHARED))
        self.assertEqual(counted[InterceptedExecution.rejected.__code__], 1)
        self.assertEqual(counted[WorkerInterceptor.rejected.__code__], 0)
        self.wire.settle()

    def test_errors_at_the_end_change_nothing(self) -> None:
        """They are logged, also ``SystemExit``: no peer's call ends a worker."""
        for error, waits in ((ZeroDivisionError(), False), (SystemExit(), False), (SystemExit(), True)):
            told: list[str] = []
            broken, sound = Recorder("broken ", []), Recorder("", told)
            broken.after = broken.failed = broken.rejected = raising(error)  # type: ignore[method-assign]
            self.serve(interceptors=[sound, broken])
            handling: Deferred[int] = Deferred()
            self.handler.answer = (lambda handling=handling: handling) if waits else lambda: 3
            self.request("add")
            handling.callback(3)
            self.reply()
            self.handler.answer = raising(InvalidOperation(1, "why"))
            self.request("add")
            self.reply()
            self.wire.deliver(b"junk", b"\0\0", SHARED)
            self.wire.settle()
            self.assertEqual(told, ["before", "after", "before", "failed", "rejected"])
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 3)
            self.assert_nothing_left()


class RefusingTests(InterceptorTestCase):
    """Refusals."""

    def test_refuses_with_an_outcome(self) -> None:
        """The caller's error is of the same class, and surely not executed."""
        cases = ((AccessDenied, "access-denied"), (Overloaded, "overloaded"), (ServiceUnavailable, "unavailable"))
        for error, word in cases:
            for answer in (raising(error("no")), lambda call, error=error: fail(error("no"))):
                self.recorder.answer = answer
                tag = self.request("add")
                published = self.reply()
                self.assertEqual((self.outcome(published), self.exception(published).message), (word, "no"))
                self.assertEqual(self.acked(), [tag])
        self.assertEqual(self.handler.ran, [])
        self.assert_nothing_left()
        self.assertEqual(self.told, ["before"] * 6)

    def test_refuses_with_exceptions_of_thrift(self) -> None:
        """The method's own exceptions and application exceptions reach the caller; neither is logged."""
        error = InvalidOperation(1, "why")
        self.recorder.answer = raising(error)
        self.request("add")
        body = BINARY.encode("add", TMessageType.REPLY, 7, Calculator.add_result(ouch=error))
        self.assertEqual(self.reply().body, body)
        self.recorder.answer = raising(TApplicationException(42, "own"))
        self.request("add")
        self.assertEqual(self.exception(self.reply()).type, 42)
        self.assert_nothing_left()

    def test_a_mistake_refuses(self) -> None:
        """Other errors, and values such as ``False``, do not admit. They are logged, and stay secret."""

        async def says_no() -> bool:
            return False

        for answer in (
            raising(ValueError("secret")),
            lambda call: False,
            lambda call: succeed(True),
            lambda call: says_no(),
        ):
            self.recorder.answer = answer
            tag = self.request("add")
            self.assert_internal_error()
            self.assertEqual((self.acked(), len(self.flushLoggedErrors())), ([tag], 1))
        self.assertEqual(self.handler.ran, [])
        self.assert_nothing_left()

    def test_a_refused_oneway_becomes_a_dead_letter(self) -> None:
        """Its caller cannot be told of any error."""
        for number, error in enumerate((AccessDenied("no"), ValueError("x"), TApplicationException(1, "y"))):
            self.recorder.answer = raising(error)
            self.request("zip", reply_to=None)
            self.wire.settle()
            (letter,) = self.wire.take()
            self.assertEqual(letter.exchange, "rpc.dead")
            self.assertEqual(len(self.flushLoggedErrors()), 1 if number == 1 else 0)
        self.assertEqual((self.acked(), self.handler.ran), ([1, 2, 3], []))
        self.assert_nothing_left()

    def test_a_refusal_before_the_ack_mode(self) -> None:
        """With ``acknowledge="before"`` the request is acked already."""
        self.serve(interceptors=[self.recorder], acknowledge="before")
        self.recorder.answer = raising(AccessDenied("no"))
        self.request("add")
        self.wire.settle()
        self.assertEqual(self.outcome(self.reply()), "access-denied")
        self.request("zip", reply_to=None)
        self.wire.settle()
        self.assertEqual(self.wire.take()[-1].exchange, "rpc.dead")
        self.assertEqual(self.handler.ran, [])
        self.assert_nothing_left()

    def test_a_refused_call_is_not_taken_for_one_that_has_run(self) -> None:
        """With deduplication, a repeated request is asked about anew."""
        self.serve(interceptors=[self.recorder], deduplicate=True)
        self.recorder.answer = raising(Overloaded("no"))
        self.request("add", message_id="m")
        self.assertEqual(self.outcome(self.reply()), "overloaded")
        self.recorder.answer = lambda call: None
        self.request("add", message_id="m")
        self.assertEqual(BINARY.read_header(self.reply().body)[1], TMessageType.REPLY)


class WaitingTests(InterceptorTestCase):
    """``before`` may return a Deferred."""

    def setUp(self) -> None:
        super().setUp()
        self.waiting: list[Deferred[None]] = []

        def wait(call: WorkerCall) -> Deferred[None]:
            self.waiting.append(Deferred())
            return self.waiting[-1]

        self.recorder.answer = wait

    def test_the_handler_waits(self) -> None:
        """The slot is taken meanwhile, and the handler has the context of its call."""
        inner = Recorder("inner ", self.told)
        self.serve(interceptors=[self.recorder, inner], concurrency=1)
        self.handler.answer = lambda: current_call().user_id == "ada" and 3  # type: ignore[union-attr]
        self.request("add", user_id="ada")
        self.request("add", user_id="ada")
        self.assertEqual((self.worker.running, len(self.waiting), self.handler.ran), (1, 1, []))
        self.waiting[0].callback(None)
        self.assertEqual(self.told, ["before", "inner before", "inner after", "after"])
        self.wire.settle()
        self.waiting[1].callback(None)
        bodies = [published.body for published in self.wire.take()]
        self.assertEqual(bodies, [BINARY.encode("add", TMessageType.REPLY, 7, Calculator.add_result(3))] * 2)
        self.assertEqual(self.acked(), [1, 2])
        self.assert_nothing_left()

    def test_the_deadline_ends_the_wait(self) -> None:
        """Also with ``cancel=False``: then the handler does not begin after it."""
        tag = self.request("add", expiration="1000")
        self.wire.clock.advance(1.01)
        self.assertEqual((self.acked(), self.wire.take(), self.handler.ran), ([tag], [], []))
        self.assert_nothing_left()
        self.serve(interceptors=[self.recorder], cancel=False)
        self._lowest = 1
        tag = self.request("add", expiration="1000")
        self.wire.clock.advance(2)
        self.assertEqual(self.worker.running, 1)
        self.waiting[1].callback(None)
        self.assertEqual((self.acked(), self.wire.take(), self.handler.ran), ([tag], [], []))
        self.assert_nothing_left()

    def test_a_cancellation_ends_the_wait(self) -> None:
        """Also with ``cancel=False``."""
        for cancel in (True, False):
            self.serve(interceptors=[self.recorder], cancel=cancel)
            self._lowest = 1
            tag = self.request("add", message_id="m")
            self.worker.dispatcher.cancel([b"m"])
            if not cancel:
                self.waiting[-1].callback(None)
            self.assertEqual((self.acked(), self.wire.take(), self.handler.ran), ([tag], [], []))
            self.assert_nothing_left()

    def test_a_redelivered_request_joins_the_wait(self) -> None:
        """The channel was lost meanwhile. The refusal settles both, and the caller is told once for each address."""
        self.request("add", message_id="m")
        self.wire.close_channel()
        self.worker.open()
        self.wire.take()
        tag = self.request("add", message_id="m", again=True)
        other = self.request("add", message_id="m", again=True, correlation_id="other")
        self.assertEqual(len(self.waiting), 1)
        self.waiting[0].errback(AccessDenied("no"))
        self.wire.settle()
        published = self.wire.take()
        self.assertEqual([self.outcome(each) for each in published], ["access-denied"] * 2)
        self.assertEqual([each.properties.correlation_id for each in published], ["c", "other"])
        self.assertEqual(max(self.settled())[:2], ("ack", other))
        self.assertGreater(other, tag)
        self.assertEqual(self.told, ["before"])
        self.assert_nothing_left()

    def test_a_redelivered_oneway_is_one_dead_letter(self) -> None:
        """The broker has delivered it again: the dead letter of the lost delivery is not wanted."""
        self.request("zip", message_id="m", reply_to=None)
        self.wire.close_channel()
        self.worker.open()
        self.wire.take()
        self.request("zip", message_id="m", reply_to=None, again=True)
        self.waiting[0].errback(AccessDenied("no"))
        self.wire.settle()
        self.assertEqual([each.exchange for each in self.wire.take()], ["rpc.dead"])
        self.assert_nothing_left()

    def test_a_drain_waits_for_it(self) -> None:
        """As for a handler."""
        self.request("add")
        drained: list[Any] = []
        self.worker.drain(5).addCallback(drained.append)
        self.wire.settle()
        self.assertEqual(drained, [])
        self.waiting[0].callback(None)
        self.wire.settle()
        self.assertEqual((len(drained), self.handler.ran), (1, ["add"]))

    def test_its_caller_gets_keepalives(self) -> None:
        """The call is in progress."""
        self.request("add", headers={"rpc-liveness": 3000})
        self.wire.clock.advance(1.01)
        headers = [each.properties.headers or {} for each in self.wire.take()]
        self.assertEqual(len([each for each in headers if "rpc-keepalive" in each]), 2)
        self.waiting[0].callback(None)


class OptionTests(InterceptorTestCase):
    """The option."""

    def test_takes_objects_that_provide_the_interface(self) -> None:
        """The base class does."""
        self.assertTrue(verifyObject(IWorkerInterceptor, WorkerInterceptor()))
        for wrong in ([Recorder], [object()], 7, "text"):
            with self.assertRaisesRegex(ConfigurationError, "interceptors"):
                ThriftService(CalculatorStub, Handler(), interceptors=wrong)
        service = ThriftService(CalculatorStub, Handler())
        with self.assertRaisesRegex(ConfigurationError, "interceptors"):
            Worker("amqp://localhost", [service], interceptors=[object()])
        with self.assertRaisesRegex(ConfigurationError, "interceptors"):
            Worker("amqp://localhost", [service], client_interceptors=[object()])

    def test_requests_for_this_worker_alone_are_intercepted(self) -> None:
        """Nested and broadcast requests, and those to the instance."""
        self.request("add", OWN)
        self.assertEqual(self.told, ["before", "after"])

    def test_the_outcome_is_that_of_the_client(self) -> None:
        """An attempt that may have run before is not surely unexecuted."""
        self.recorder.answer = raising(AccessDenied("no"))
        self.request("add", headers={"rpc-attempt": 2})
        self.assertEqual(self.reply().properties.headers, {"rpc-outcome": "access-denied", "rpc-maybe-executed": True})
        self.assertIs(AccessDenied("no").outcome, Outcome.REJECTED)
