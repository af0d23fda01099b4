"""Interceptors of a client: the facts that they see, added headers, and refusals. Each call is told once."""

from __future__ import annotations

import operator
from typing import Any, cast

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import rpc
from generated.calculator.ttypes import InvalidOperation
from rpc.client.client_call import ClientCall
from rpc.client.interception import InterceptedCaller
from rpc.context import CallContext
from rpc.errors import (
    AccessDenied,
    CallTimedOut,
    ConfigurationError,
    InvalidRequest,
    MessageTooLarge,
    Outcome,
    Overloaded,
    RPCError,
    ServiceUnavailable,
)
from rpc.interceptors import ClientInterceptor, IClientInterceptor
from tests.unit.amqp.peer import outcome_of
from tests.unit.client.caller_in_memory import (
    BINARY,
    AttemptTestCase,
    Calculator,
    CallerInMemory,
    serving_call,
)
from tests.unit.test_hot_path import count_functions
from tests.unit.wire import Published

REFUSED = TApplicationException(TApplicationException.INTERNAL_ERROR, "no")


class Recorder(ClientInterceptor):
    """Notes the events of calls, with the error at that time.

    :ivar answer: the action of ``before``; ``retry``: the action of ``retrying``.
    """

    def __init__(self, name: str = "", told: list[str] | None = None) -> None:
        self.name = name
        self.told: list[str] = [] if told is None else told
        self.calls: list[ClientCall] = []
        self.errors: list[Any] = []
        self.answer: Any = lambda call: None
        self.retry: Any = lambda call: None

    def _note(self, event: str, call: ClientCall) -> None:
        self.told.append(f"{self.name}{event}")
        self.calls.append(call)
        self.errors.append(call.error)

    def before(self, call: ClientCall) -> Any:
        self._note("before", call)
        return self.answer(call)

    def retrying(self, call: ClientCall) -> None:
        self._note("retrying", call)
        self.retry(call)

    def after(self, call: ClientCall) -> None:
        self._note("after", call)

    def failed(self, call: ClientCall) -> None:
        self._note("failed", call)


def raising(error: BaseException) -> Any:
    """Return a function that raises `error`."""

    def fails(*_: object) -> Any:
        raise error

    return fails


class InterceptorTestCase(AttemptTestCase):
    """A client with one interceptor."""

    def setUp(self) -> None:
        super().setUp()
        self.recorder = Recorder()
        self.client = self.caller.client(interceptors=[self.recorder], timeout=10.0)

    @property
    def call(self) -> ClientCall:
        """The last call."""
        return self.recorder.calls[-1]

    def headers(self, published: Published) -> dict[str, Any]:
        """The headers of a request."""
        return dict(published.properties.headers or {})


class SeeingTests(InterceptorTestCase):
    """The facts that interceptors see."""

    def test_sees_a_call_from_its_beginning_to_its_end(self) -> None:
        """Names, times, sizes and ids; and the reply's metadata."""
        now = self.wire.clock.seconds()
        fired = outcome_of(self.client.add(1, 2))
        request = self.request()
        call = self.call
        self.assertEqual((call.service, call.method, call.label), ("Calculator", "add", "Calculator.add"))
        self.assertEqual((call.began, call.deadline, call.ended, call.context), (now, now + 10, None, None))
        self.assertEqual((call.attempt, call.oneway, call.protocol, call.exchange), (1, False, "binary", "rpc"))
        self.assertEqual((call.message_id, call.request_size), (request.properties.message_id, len(request.body)))
        self.wire.clock.advance(1.5)
        self.caller.reply(request, Calculator.add_result(3), headers={"cache": "hit", "rpc-x": 1})
        self.assertEqual((fired, self.recorder.told), ([3], ["before", "after"]))
        self.assertEqual((call.ended, call.error, call.outcome), (now + 1.5, None, None))
        self.assertEqual((dict(call.reply_headers), self.caller.leftovers()), ({"cache": "hit"}, []))
        self.assertGreater(call.reply_size, 10)

    def test_the_headers_of_a_reply_without_any_cannot_be_changed(self) -> None:
        """All calls without reply headers share them."""
        outcome_of(self.client.add(1, 2))
        self.caller.reply(self.request(), Calculator.add_result(3))
        with self.assertRaises(TypeError):
            operator.setitem(cast(dict[str, Any], self.call.reply_headers), "a", 1)
        self.assertEqual(self.call.reply_headers, {})

    def test_methods_of_the_base_class_are_not_called(self) -> None:
        """Neither at a failed attempt nor at a failed call."""
        client = self.caller.client(interceptors=[ClientInterceptor()], retry=True, timeout=1.0)
        fired = outcome_of(client.add(1, 2))
        self.wire.take()

        def fail() -> None:
            self.wire.confirm(1, refuse=True)
            self.wire.clock.advance(2)

        counted = count_functions(fail)
        self.assert_fails(fired, CallTimedOut)
        self.assertEqual(counted[InterceptedCaller.retrying.__code__], 1)
        for method in (ClientInterceptor.retrying, ClientInterceptor.failed):
            self.assertEqual(counted[method.__code__], 0)

    def test_sees_each_failure(self) -> None:
        """The error is the one that the caller gets."""
        declared, own = InvalidOperation(1, "why"), TApplicationException(5, "own")
        for result in (Calculator.add_result(ouch=declared), own):
            fired = outcome_of(self.client.add(1, 2))
            self.caller.reply(self.request(), result)
            self.assertIs(self.call.error, fired[0])
            self.assertIsNone(self.call.outcome)
        fired = outcome_of(self.client.add(1, 2))
        self.request()
        self.wire.clock.advance(11)
        self.assertIs(self.call.error, fired[0])
        self.assertEqual((type(fired[0]), self.call.outcome), (CallTimedOut, Outcome.UNKNOWN))
        calling = self.client.add(1, 2)
        fired = outcome_of(calling)
        calling.cancel()
        self.assertIsInstance(self.call.error, CancelledError)
        self.assertEqual(self.recorder.told, ["before", "failed"] * 4)
        self.wire.take()
        self.assertEqual(self.caller.leftovers(), [])

    def test_sees_calls_that_are_not_sent(self) -> None:
        """Arguments that do not fit, a message that is too large, a closed connection."""
        self.failureResultOf(self.client.add("one", 2), InvalidRequest)
        self.assertEqual((self.recorder.told, self.call.outcome), (["before", "failed"], Outcome.NOT_SENT))
        with self.assertRaises(TypeError):
            self.client.add(1)
        self.assertIsInstance(self.call.error, TypeError)
        small = self.caller.client(interceptors=[self.recorder], max_message_size=10)
        self.failureResultOf(small.add(1, 2), MessageTooLarge)
        self.caller.subject.close()
        self.failureResultOf(self.client.add(1, 2), rpc.ConnectionLost)
        self.assertEqual(self.recorder.told, ["before", "failed"] * 4)
        self.assertEqual((self.wire.take(), self.call.attempt), ([], 0))

    def test_sees_oneway_calls(self) -> None:
        """They end with the broker's confirm."""
        fired = outcome_of(self.client.zip())
        self.request()
        self.assertEqual(self.recorder.told, ["before"])
        self.wire.confirm(1)
        self.assertEqual((fired, self.recorder.told, self.call.oneway), ([None], ["before", "after"], True))

    def test_sees_each_attempt(self) -> None:
        """``retrying`` has the error of the attempt, and may change the headers of the next."""
        self.recorder.retry = lambda call: call.headers.update(retry=call.attempt)
        client = self.caller.client(interceptors=[self.recorder], retry=True, timeout=60.0)
        fired = outcome_of(client.add(1, 2))
        self.assertEqual(self.headers(self.request()), {})
        self.wire.confirm(1, refuse=True)
        second = self.again()
        self.assertEqual(self.headers(second), {"retry": 1, "rpc-attempt": 2})
        self.caller.reply(second, REFUSED, headers={"rpc-outcome": "overloaded"})
        third = self.again()
        self.assertEqual((self.headers(third), self.call.attempt), ({"retry": 2, "rpc-attempt": 3}, 3))
        self.assertIsNone(self.call.error)
        self.caller.reply(third, Calculator.add_result(3))
        self.assertEqual((fired, self.recorder.told), ([3], ["before", "retrying", "retrying", "after"]))
        self.assertEqual([type(each) for each in self.recorder.errors[1:3]], [Overloaded, Overloaded])

    def test_sees_no_retry_after_the_last_attempt(self) -> None:
        """Its error is the call's."""
        fired = outcome_of(self.client.add(1, 2))
        self.wire.give_back(self.request())
        self.assertEqual(self.recorder.told, ["before", "failed"])
        self.assertIs(self.call.error, fired[0])
        self.assertEqual((type(fired[0]), self.call.outcome), (ServiceUnavailable, Outcome.REJECTED))

    def test_sees_all_that_a_call_may_be(self) -> None:
        """``with_reply``, broadcast, and messages without a stub."""
        fired = outcome_of(rpc.with_reply(self.client.add, 1, 2))
        self.caller.reply(self.request(), Calculator.add_result(3), headers={"a": 1})
        self.assertEqual((fired[0].value, fired[0].headers, self.call.reply_headers), (3, {"a": 1}, {"a": 1}))
        everybody = self.caller.client(interceptors=[self.recorder], exchange="rpc.broadcast")
        everybody.ping()
        self.assertEqual((self.request().exchange, self.call.exchange), ("rpc.broadcast", "rpc.broadcast"))
        again = rpc.with_options(self.client, protocol="json")
        again.ping()
        self.assertEqual(self.call.protocol, "json")
        self.assertEqual(self.recorder.told, ["before", "after", "before", "before"])


class HeaderTests(InterceptorTestCase):
    """Headers that interceptors add."""

    def test_adds_headers(self) -> None:
        """To those of the client; each call has its own."""
        self.recorder.answer = lambda call: call.headers.update(number=len(self.recorder.calls))
        client = self.caller.client(interceptors=[self.recorder], headers={"a": 1}, liveness=2.0)
        for number in (1, 2):
            client.ping()
            self.assertEqual(self.headers(self.request()), {"a": 1, "number": number, "rpc-liveness": 2000})

    def test_sees_and_changes_inherited_metadata(self) -> None:
        """Of the call being served."""
        context = CallContext("S", "m", self.wire.clock.seconds() + 3, {"trace": "1", "user": "ada"}, "id", False)

        def change(call: ClientCall) -> None:
            del call.headers["user"]
            call.headers["trace"] += "2"

        self.recorder.answer = change
        with serving_call(context):
            self.client.ping()
        self.assertEqual(self.headers(self.request()), {"trace": "12"})
        self.assertIs(self.call.context, context)
        self.assertEqual(self.call.deadline, self.wire.clock.seconds() + 3)

    def test_headers_that_cannot_be_sent_fail_the_call(self) -> None:
        """Nothing is sent, and the channel stays."""
        self.recorder.answer = lambda call: call.headers.update(a=object())
        fired = outcome_of(self.client.ping())
        self.assert_fails(fired, RPCError, Outcome.NOT_SENT)
        self.assertEqual(self.recorder.told, ["before", "failed"])
        self.recorder.answer = lambda call: None
        self.client.ping()
        self.request()


class RefusingTests(InterceptorTestCase):
    """Refusals, and interceptors that fail."""

    def test_refuses_before_anything_is_sent(self) -> None:
        """With Thrift's exceptions as they are; the outcome of a RPCError is ``NOT_SENT``."""
        for error in (AccessDenied("no"), TApplicationException(1, "no"), InvalidOperation(1, "no")):
            self.recorder.answer = raising(error)
            self.assertIs(self.failureResultOf(self.client.add(1, 2)).value, error)
        self.recorder.answer = raising(AccessDenied("no"))
        self.assertIs(self.failureResultOf(self.client.add(1, 2)).value.outcome, Outcome.NOT_SENT)
        self.assertEqual((self.wire.take(), self.recorder.told), ([], ["before"] * 4))

    def test_a_mistake_refuses(self) -> None:
        """Another error is logged, and the call fails with a RPCError that names the interceptor."""

        async def later() -> None: ...

        for answer in (raising(ValueError("why")), lambda call: False, lambda call: later()):
            self.recorder.answer = answer
            error = self.failureResultOf(self.client.add(1, 2), RPCError).value
            self.assertIn("Recorder failed", str(error))
            self.assertIs(error.outcome, Outcome.NOT_SENT)
            self.assertEqual(len(self.flushLoggedErrors(ValueError, TypeError)), 1)
        self.assertEqual((self.wire.take(), self.caller.leftovers()), ([], []))

    def test_the_first_is_the_outermost(self) -> None:
        """A refusal is told to those that have admitted the call."""
        told: list[str] = []
        chain = [Recorder("a ", told), Recorder("b ", told), Recorder("c ", told)]
        client = self.caller.client(interceptors=chain)
        client.add(1, 2)
        self.caller.reply(self.request(), Calculator.add_result(3))
        self.assertEqual(told, ["a before", "b before", "c before", "c after", "b after", "a after"])
        told.clear()
        chain[1].answer = raising(AccessDenied("no"))
        self.failureResultOf(client.add(1, 2), AccessDenied)
        self.assertEqual(told, ["a before", "b before", "a failed"])

    def test_errors_at_the_end_change_nothing(self) -> None:
        """They are logged, also ``SystemExit``: else the call would never end."""
        for error in (ZeroDivisionError(), SystemExit()):
            broken, self.recorder = Recorder(), Recorder()
            broken.after = broken.failed = broken.retrying = raising(error)  # type: ignore[method-assign]
            client = self.caller.client(interceptors=[self.recorder, broken], retry=True, timeout=60.0)
            fired = outcome_of(client.add(1, 2))
            self.wire.give_back(self.request())
            self.caller.reply(self.again(), Calculator.add_result(3))
            failing = outcome_of(client.add(1, 2))
            self.caller.reply(self.request(), Calculator.add_result(ouch=InvalidOperation(1, "why")))
            self.assertEqual((fired, type(failing[0])), ([3], InvalidOperation))
            self.assertEqual(self.recorder.told, ["before", "retrying", "after", "before", "failed"])
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 3)


class OptionTests(SynchronousTestCase):
    """The option."""

    def test_takes_objects_that_provide_the_interface(self) -> None:
        """The base class does."""
        self.assertTrue(verifyObject(IClientInterceptor, ClientInterceptor()))
        for wrong in ([Recorder], [object()], 7, "text"):
            with self.assertRaisesRegex(ConfigurationError, "interceptors"):
                CallerInMemory().client(interceptors=wrong)
            with self.assertRaisesRegex(ConfigurationError, "interceptors"):
                rpc.Connection("amqp://localhost", interceptors=wrong)  # type: ignore[arg-type]

    def test_those_of_the_connection_come_first(self) -> None:
        """For all its clients, and for ``call_raw``."""
        told: list[str] = []
        outer, inner = Recorder("outer ", told), Recorder("inner ", told)
        connection = rpc.Connection("amqp://localhost", interceptors=[outer])
        outer.answer = inner.answer = raising(AccessDenied("no"))
        self.failureResultOf(connection.client(Calculator, interceptors=[inner]).ping(), AccessDenied)
        outer.answer = lambda call: None
        self.failureResultOf(connection.client(Calculator, interceptors=[inner]).ping(), AccessDenied)
        self.assertEqual(told, ["outer before", "outer before", "inner before", "outer failed"])
        outer.answer = raising(AccessDenied("no"))
        message = BINARY.encode("ping", TMessageType.CALL, 1, Calculator.ping_args())
        self.failureResultOf(connection.call_raw("Calculator", message), AccessDenied)
        self.assertEqual(outer.calls[-1].label, "Calculator.ping")


class IdentityTests(AttemptTestCase):
    """The options ``user_id`` and ``app_id``."""

    def test_names_the_user_of_the_connection(self) -> None:
        """On request: RabbitMQ checks it with each message."""
        self.client.ping()
        self.assertIsNone(self.request().properties.user_id)
        self.caller.client(user_id=True, app_id="ask").ping()
        properties = self.request().properties
        self.assertEqual((properties.user_id, properties.app_id), ("guest", "ask"))
        self.caller.client(user_id="ada", headers={"a": 1}).zip()
        self.assertEqual(self.request().properties.user_id, "ada")

    def test_does_not_guess_the_user_of_a_certificate(self) -> None:
        """With ``auth_mechanism=external`` and without a name in the URL, the call fails."""
        credentials = self.wire.peer.connection.credentials
        self.wire.peer.connection.credentials = type(credentials)(mechanism="EXTERNAL")
        self.lose_channel()
        fired = outcome_of(self.caller.client(user_id=True).ping())
        self.assertIn("auth_mechanism=external", self.assert_fails(fired, RPCError, Outcome.NOT_SENT))
        self.wire.peer.connection.credentials = type(credentials)("ada", mechanism="EXTERNAL")
        self.lose_channel()
        self.caller.client(user_id=True).ping()
        self.assertEqual(self.request().properties.user_id, "ada")

    def test_a_wrong_user_is_denied_at_once(self) -> None:
        """The broker closes the channel (406). Calls with another user id, or none, are repeated as after any loss."""
        denied = outcome_of(self.caller.client(user_id="eve", idempotent=["add"]).add(1, 2))
        for given in ({}, {"user_id": True}):
            self.caller.client(idempotent=["ping"], timeout=60.0, **given).ping()
        self.assertEqual(len(self.wire.take()), 3)
        self.wire.close_channel("user_id property set to 'eve' but authenticated user was 'guest'")
        (error,) = denied
        self.assertEqual((type(error), error.outcome, error.attempts), (AccessDenied, Outcome.REJECTED, 1))
        self.caller.open()
        self.wire.clock.advance(3)
        self.assertEqual({each.properties.user_id for each in self.wire.take()}, {None, "guest"})

    def test_refuses_wrong_values(self) -> None:
        """An empty name, a number, a name that is too long."""
        for wrong in ("", 1, "x" * 256, None):
            with self.assertRaisesRegex(ConfigurationError, "user_id"):
                self.caller.client(user_id=wrong)

    def test_a_denied_call_is_not_repeated(self) -> None:
        """The next attempt would be denied as well."""
        client = self.caller.client(retry=True)
        fired = outcome_of(client.ping())
        self.caller.reply(self.request(), REFUSED, headers={"rpc-outcome": "access-denied"})
        self.assertEqual(self.assert_fails(fired, AccessDenied, Outcome.REJECTED), "no")
