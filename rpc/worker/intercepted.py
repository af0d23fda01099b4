"""Runs requests of a service that has interceptors. Services without interceptors use none of this."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import copy_context
from types import CoroutineType
from typing import Any

from thrift.Thrift import TApplicationException
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from rpc import context, log
from rpc.errors import AccessDenied, Overloaded, ServiceUnavailable
from rpc.interceptors import does, tell
from rpc.stub import StubMethod
from rpc.worker.call import Ending, WorkerCall
from rpc.worker.coroutines import run_coroutine
from rpc.worker.delivery_state import DeliveryState
from rpc.worker.execution import Execution
from rpc.worker.in_progress import Run
from rpc.worker.rejection import Rejection, refused
from rpc.worker.request import Request

CANCELLING, RETURNED = DeliveryState.CANCELLING, Ending.RETURNED
# Module names, because every call reads them: an attribute of an enum costs one more lookup.


class _Intercepted:
    """A call in progress.

    :ivar start: where its arguments begin in the body.
    :ivar begun: how many interceptors have admitted it.
    :ivar admitted: whether the handler may be called.
    """

    __slots__ = ("admitted", "begun", "call", "start")

    def __init__(self, call: WorkerCall, start: int) -> None:
        self.call = call
        self.start = start
        self.begun = 0
        self.admitted = False


class InterceptedExecution(Execution):
    """Runs the requests of one service. From ``before`` on, a request has a slot and is in progress.

    So it can be cancelled and joined, and its caller gets keepalives, while an interceptor waits for a Deferred.
    """

    def __init__(self, interceptors: tuple[Any, ...], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._interceptors = interceptors
        self._after = [each.after if does(each.after) else None for each in interceptors]
        self._failing = [each.failed if does(each.failed) else None for each in interceptors]
        self._rejecting = [each.rejected for each in reversed(interceptors) if does(each.rejected)]
        self._intercepted: dict[Request, _Intercepted] = {}

    def run(self, request: Request, now: float) -> None:
        """See :class:`~rpc.worker.execution.Execution`. Each request has its own context variables."""
        try:
            method, start = request.read_head(self._name, self._methods)
        except Rejection as rejection:
            self._reject(request, rejection)
            return
        self._limiter.enter()
        copy_context().run(self._begin, request, method, start, now)

    @context.enters_context
    def _begin(self, request: Request, method: StubMethod, start: int, now: float) -> None:
        served = request.serve(self._name, method, now, self._limiter.wait)
        context.serving.set(served)
        intercepted = _Intercepted(WorkerCall(request, self._name, method.name, now, served), start)
        self._intercepted[request] = intercepted
        interceptors = iter(self._interceptors)
        try:
            waiting = self._admit(intercepted, interceptors)
            if waiting is None:
                value = self._handle(request, method, intercepted)
            else:
                value = Deferred.fromCoroutine(
                    self._wait_and_handle(waiting, interceptors, request, method, intercepted)
                )
        except BaseException:  # as a Deferred catches: a SystemExit of a handler must not end the connection
            self._failed(Failure(), request, method, None)
        else:
            if isinstance(value, Deferred):
                self._follow(value, request, method)
            else:
                self._succeeded(value, request, method, None)

    def _admit(self, intercepted: _Intercepted, interceptors: Iterator[Any]) -> Deferred[object] | None:
        """Ask interceptors until one of them has to wait.

        :return: what it waits for; ``None`` when all have admitted the call.
        """
        for interceptor in interceptors:
            answer = interceptor.before(intercepted.call)
            if answer is not None:
                if isinstance(answer, CoroutineType):
                    answer = run_coroutine(answer)
                if isinstance(answer, Deferred):
                    return answer
                _check_admitted(answer)
            intercepted.begun += 1
        return None

    async def _wait_and_handle(
        self,
        waiting: Deferred[object] | None,
        interceptors: Iterator[Any],
        request: Request,
        method: StubMethod,
        intercepted: _Intercepted,
    ) -> Any:
        while waiting is not None:
            answer: object = await waiting
            _check_admitted(answer)
            intercepted.begun += 1
            waiting = self._admit(intercepted, interceptors)
        if self._has_no_caller(request):
            request.cancel()
            raise CancelledError
        value = self._handle(request, method, intercepted)
        return await value if isinstance(value, Deferred) else value

    def _has_no_caller(self, request: Request) -> bool:
        """Whether the call ended while it waited: with ``cancel=False`` nothing is cancelled."""
        expired = request.deadline is not None and request.deadline <= self._clock.seconds()
        return expired or self._in_progress.was_cancelled(request)

    def _handle(self, request: Request, method: StubMethod, intercepted: _Intercepted) -> Any:
        arguments = self._arguments.read(request, method, intercepted.start)
        intercepted.admitted = True
        value = self._handlers[method.name](*method.arguments_of(arguments))
        return run_coroutine(value) if isinstance(value, CoroutineType) else value

    # -- the end

    def _failed(self, failure: Failure, request: Request, method: StubMethod, run: Run | None) -> None:
        intercepted = self._intercepted[request]
        call, error = intercepted.call, failure.value
        call.error = error
        if request.state is CANCELLING:
            call.ending = Ending.CANCELLED
        elif not intercepted.admitted:
            call.ending = Ending.REJECTED if isinstance(error, Rejection) else Ending.REFUSED
            rejection = _rejection_of(failure, request, method)
            if rejection is not None:
                self._reject_run(request, rejection, run)
                return
        else:
            answered = isinstance(error, (TApplicationException, *(each for _, each in method.throws)))
            call.ending = Ending.RAISED if answered and not method.oneway else Ending.FAILED
        super()._failed(failure, request, method, run)

    def _reject_run(self, request: Request, rejection: Rejection, run: Run | None) -> None:
        """End a run whose handler was not called. The deliveries that joined it are rejected as well."""
        call = self._intercepted[request].call
        if isinstance(call.error, Rejection):
            call.error = rejection.answer
        request.context.answered = True
        answered = set()
        for delivery in (request, *(() if run is None else run.joined)):
            if not delivery.wants_reply or delivery.reply_address not in answered:
                answered.add(delivery.reply_address)
                self._intercepted.setdefault(delivery, self._intercepted[request])
                self._reject(delivery, rejection)
            else:
                self._channel.ack(delivery)
                delivery.settle()
            if delivery is not request:
                self._intercepted.pop(delivery, None)
        if run is not None:
            self._in_progress.end(run)
            for following in run.following:
                self._take_again(following)
        limiter = self._limiter
        limiter.leave(limiter.waiting > 0 and request.context.waits)
        self._tell_end(request)

    def _unfit(self, request: Request, error: Exception) -> None:
        intercepted = self._intercepted.get(request)
        if intercepted is not None:  # else an interceptor's headers are the reason, and all have been told
            intercepted.call.error, intercepted.call.ending = error, Ending.FAILED

    def _finish(self, request: Request, body: bytes | None, run: Run | None) -> None:
        body = self._tell_end(request, body)
        super()._finish(request, body, run)

    def _tell_end(self, request: Request, body: bytes | None = None) -> bytes | None:
        """Tell the interceptors that the call has ended.

        :return: the reply; another one when they have set headers that cannot be sent.
        """
        intercepted = self._intercepted.pop(request)
        call = intercepted.call
        call.ended = self._clock.seconds()
        call.reply_size = len(body or b"")
        if call.ending is None:
            call.ending = RETURNED
        told = self._after if call.ending is RETURNED else self._failing
        for place in range(intercepted.begun - 1, -1, -1):
            method = told[place]
            if method is not None:
                tell(method, call)
        if body is not None and request.context.has_reply_headers:
            return self._checked(request, body)
        return body

    def rejected(self, request: Request, rejection: Rejection, is_dead_letter: bool) -> None:
        """See :class:`~rpc.worker.execution.Execution`. The interceptors are told, unless they know the call."""
        known = self._intercepted.get(request)
        if known is not None:
            known.call.dead_letter = known.call.dead_letter or is_dead_letter
            return
        now = self._clock.seconds()
        call = WorkerCall(request, self._name, request.name, now, None)
        call.ended, call.ending, call.error = now, Ending.REJECTED, rejection.answer
        call.dead_letter = is_dead_letter
        for method in self._rejecting:
            tell(method, call)


def _check_admitted(answer: object) -> None:
    if answer is not None:
        raise TypeError(f"before gave {answer!r}, not None: it refuses a call by an exception")


def _rejection_of(failure: Failure, request: Request, method: StubMethod) -> Rejection | None:
    """Return how a call is rejected whose handler was not called; ``None``: its caller gets the error as a reply."""
    error = failure.value
    if isinstance(error, Rejection):
        return error
    if isinstance(error, (AccessDenied, Overloaded, ServiceUnavailable)):
        return refused(error)
    if request.wants_reply and not method.oneway:
        return None
    if isinstance(error, TApplicationException):
        return Rejection(error.type, str(error.message))
    log.err(failure, f"{request.label}: refused by an error of an interceptor")
    return Rejection(TApplicationException.INTERNAL_ERROR, f"refused: {type(error).__name__}")
