"""Runs requests of a service that has interceptors with a ``before``. Other services use none of this."""

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
from rpc.stub import StubMethod
from rpc.worker.call import Ending, WorkerCall
from rpc.worker.coroutines import run_coroutine
from rpc.worker.delivery_state import DeliveryState
from rpc.worker.in_progress import Run
from rpc.worker.observed import ObservedExecution, Seen
from rpc.worker.rejection import Rejection, refused
from rpc.worker.request import Request

CANCELLING = DeliveryState.CANCELLING


class InterceptedExecution(ObservedExecution):
    """Runs the requests of one service. From ``before`` on, a request has a slot and is in progress.

    So it can be cancelled and joined, and its caller gets keepalives, while an interceptor waits for a Deferred.
    """

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
        seen = Seen(WorkerCall(request, self._name, method.name, now, served), start)
        self._seen[request] = seen
        interceptors = iter(self._interceptors)
        try:
            waiting = self._admit(seen, interceptors)
            if waiting is None:
                value = self._handle(request, method, seen)
            else:
                value = Deferred.fromCoroutine(self._wait_and_handle(waiting, interceptors, request, method, seen))
        except BaseException:  # as a Deferred catches: a SystemExit of a handler must not end the connection
            self._failed(Failure(), request, method, None)
        else:
            if isinstance(value, Deferred):
                self._follow(value, request, method)
            else:
                self._succeeded(value, request, method, None)

    def _admit(self, seen: Seen, interceptors: Iterator[Any]) -> Deferred[object] | None:
        """Ask interceptors until one of them has to wait.

        :return: fires when the one that has to wait has decided; ``None`` when all have admitted the call.
        """
        for interceptor in interceptors:
            answer = interceptor.before(seen.call)
            if answer is not None:
                if isinstance(answer, CoroutineType):
                    answer = run_coroutine(answer)
                if isinstance(answer, Deferred):
                    return answer
                _check_admitted(answer)
            seen.begun += 1
        return None

    async def _wait_and_handle(
        self,
        waiting: Deferred[object] | None,
        interceptors: Iterator[Any],
        request: Request,
        method: StubMethod,
        seen: Seen,
    ) -> Any:
        while waiting is not None:
            answer: object = await waiting
            _check_admitted(answer)
            seen.begun += 1
            waiting = self._admit(seen, interceptors)
        if self._has_no_caller(request):
            request.cancel()
            raise CancelledError
        value = self._handle(request, method, seen)
        return await value if isinstance(value, Deferred) else value

    def _has_no_caller(self, request: Request) -> bool:
        """Whether the call ended while it waited: with ``cancel=False`` nothing is cancelled."""
        expired = request.deadline is not None and request.deadline <= self._clock.seconds()
        return expired or self._in_progress.was_cancelled(request)

    def _handle(self, request: Request, method: StubMethod, seen: Seen) -> Any:
        arguments = self._arguments.read(request, method, seen.start)
        seen.admitted = True
        value = self._handlers[method.name](*method.arguments_of(arguments))
        return run_coroutine(value) if isinstance(value, CoroutineType) else value

    # -- the end

    def _failed(self, failure: Failure, request: Request, method: StubMethod, run: Run | None) -> None:
        seen = self._of(request)
        if request.state is not CANCELLING and not seen.admitted:
            call, error = seen.call, failure.value
            call.error = error
            call.ending = Ending.REJECTED if isinstance(error, Rejection) else Ending.REFUSED
            rejection = _rejection_of(failure, request, method)
            if rejection is not None:
                self._reject_run(request, rejection, run)
                return
        super()._failed(failure, request, method, run)

    def _reject_run(self, request: Request, rejection: Rejection, run: Run | None) -> None:
        """End a run whose handler was not called. The deliveries that joined it are rejected as well."""
        call = self._seen[request].call
        if isinstance(call.error, Rejection):
            call.error = rejection.answer
        request.context.answered = True
        answered = set()
        for delivery in (request, *(() if run is None else run.joined)):
            if not delivery.wants_reply or delivery.reply_address not in answered:
                answered.add(delivery.reply_address)
                self._seen.setdefault(delivery, self._seen[request])
                self._reject(delivery, rejection)
            else:
                self._channel.ack(delivery)
                delivery.settle()
            if delivery is not request:
                self._seen.pop(delivery, None)
        if run is not None:
            self._in_progress.end(run)
            for following in run.following:
                self._take_again(following)
        limiter = self._limiter
        limiter.leave(limiter.waiting > 0 and request.context.waits)
        self._tell_end(self._seen.pop(request), None)


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
