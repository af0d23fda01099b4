"""Calls of clients that have interceptors. Clients without interceptors use none of this.

The interception stands between the stub and the caller. It gives the caller a record for each call (``Call.seen``), by
which the call's retries and its end come back here: a Deferred's callbacks would cost more.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType
from typing import Any

from thrift.Thrift import TException
from twisted.internet.defer import Deferred, fail

from rpc import log
from rpc.client.call import Call
from rpc.client.caller import Caller
from rpc.client.client_call import ClientCall
from rpc.client.deadline import deadline_of
from rpc.client.operation import CallObserver, Operation
from rpc.context import inherited_call, serving
from rpc.errors import Outcome, RPCError
from rpc.interceptors import does, log_error, tell

MakeCall = Callable[..., Deferred[Any]]


class InterceptedCaller:
    """Makes calls on a caller, with interceptors before it. The base class's methods are not called.

    :ivar asks: whether an interceptor has a ``before``. Otherwise the caller is called without :meth:`call`, and what
        interceptors see of a call is made when it ends.
    """

    def __init__(self, caller: Caller, interceptors: tuple[Any, ...]) -> None:
        self._caller = caller
        self._clock = caller.clock
        self._interceptors = interceptors
        self._beginning: ClientCall | None = None  # admitted; the caller begins it next
        self._before = [(place, each.before) for place, each in enumerate(interceptors) if does(each.before)]
        self.asks = bool(self._before)
        self._retrying = [each.retrying for each in interceptors if does(each.retrying)]
        self._after = [each.after for each in reversed(interceptors) if does(each.after)]
        self._failing = [each.failed if does(each.failed) else None for each in interceptors]

    def call(self, operation: Operation, /, *arguments: Any, **keywords: Any) -> Deferred[Any]:
        """See :meth:`rpc.client.caller.Caller.call`."""
        call = self._new(operation)
        for place, before in self._before:
            try:
                answer = before(call)
                if answer is not None:
                    _refuse_answer(answer)
            except Exception as error:
                return fail(self._refused(call, error, place))
        self._beginning = call
        try:
            return self._caller.call(operation, *arguments, **keywords)
        except BaseException as error:
            if self._beginning is not None:  # not told yet: it is another thread
                self._beginning = None
                self._tell_failed(call, error, len(self._interceptors))
            raise

    def _new(self, operation: Operation) -> ClientCall:
        now = self._clock.seconds()
        context = inherited_call() if serving.get() is not None else None
        deadline = now + operation.timeout if context is None else deadline_of(operation.timeout, now, context)
        return ClientCall(operation, now, deadline, context)

    # -- the observer of the operation

    def begun(self, sent: Call) -> None:
        """Keep the interceptors' view of a call with it, if they have one already."""
        call, self._beginning = self._beginning, None
        if call is not None:
            call.sent = sent
            sent.seen = call

    def not_sent(self, operation: Operation, error: RPCError | TypeError) -> None:
        """Tell that a call has failed before it was in the table."""
        call, self._beginning = self._beginning or self._new(operation), None
        self._tell_failed(call, error, len(self._interceptors))

    def retrying(self, sent: Call, error: RPCError) -> None:
        """Tell that an attempt has failed, and another one follows."""
        if not self._retrying:
            return
        call = sent.seen
        if call is None:
            call = sent.seen = ClientCall(sent.operation, sent.began, sent.deadline, sent.context, sent)
        call.error = error
        for retrying in self._retrying:
            tell(retrying, call)
        call.error = None

    def settled(self, sent: Call, error: BaseException | None) -> None:
        """Tell the end of a call, right before its Deferred fires."""
        call = sent.seen or ClientCall(sent.operation, sent.began, sent.deadline, sent.context, sent)
        if error is None:
            call.ended = self._clock.seconds()
            for after in self._after:
                try:
                    after(call)
                except BaseException:
                    log_error(after, call)
        else:
            self._tell_failed(call, error, len(self._interceptors))

    def _refused(self, call: ClientCall, raised: Exception, place: int) -> Exception:
        """Return the error of a call that the interceptor at `place` has refused. Those before it are told."""
        error = raised
        if isinstance(raised, RPCError):
            raised.outcome = Outcome.NOT_SENT
        elif not isinstance(raised, TException):
            name = type(self._interceptors[place]).__name__
            log.err(raised, f"{call.label}: in {name}.before")
            text = f"{call.label}: not sent: {name} failed: {type(raised).__name__}: {raised}"
            error = RPCError(text, Outcome.NOT_SENT)
            error.__cause__ = raised
        self._tell_failed(call, error, place)
        return error

    def _tell_failed(self, call: ClientCall, error: BaseException | None, begun: int) -> None:
        call.error = error
        call.ended = self._clock.seconds()
        for place in range(begun - 1, -1, -1):
            failed = self._failing[place]
            if failed is not None:
                tell(failed, call)


def _refuse_answer(answer: object) -> None:
    if isinstance(answer, CoroutineType):
        answer.close()
    raise TypeError(f"before returned {type(answer).__name__}, not None: a client's interceptor decides at once")


def intercept(caller: Caller, interceptors: tuple[Any, ...]) -> tuple[MakeCall, CallObserver | None]:
    """Return the function that makes calls on `caller`, and the observer that their operations need."""
    if not interceptors:
        return caller.call, None
    intercepted = InterceptedCaller(caller, interceptors)
    return intercepted.call if intercepted.asks else caller.call, intercepted
