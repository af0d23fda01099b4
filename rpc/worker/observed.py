"""Tells interceptors how requests of a service have ended. Services without interceptors use none of this."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from rpc.interceptors import does, log_error, tell
from rpc.stub import StubMethod
from rpc.worker.call import Ending, WorkerCall
from rpc.worker.delivery_state import DeliveryState
from rpc.worker.execution import Execution
from rpc.worker.in_progress import Run
from rpc.worker.rejection import Rejection
from rpc.worker.request import Request

CANCELLING, RETURNED = DeliveryState.CANCELLING, Ending.RETURNED
# Module names, because every call reads them: an attribute of an enum costs one more lookup.


class Seen:
    """A call in progress, as interceptors have seen it.

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


class ObservedExecution(Execution):
    """Runs the requests of a service whose interceptors have no ``before``: they are told of ends alone.

    What they see of a call is made when it ends, or fails.
    """

    def __init__(self, interceptors: tuple[Any, ...], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._end = super()._finish  # looked up once: every call needs it
        self._interceptors = interceptors
        self._after = [each.after for each in reversed(interceptors) if does(each.after)]
        self._failing = [each.failed if does(each.failed) else None for each in interceptors]
        self._rejecting = [each.rejected for each in reversed(interceptors) if does(each.rejected)]
        self._seen: dict[Request, Seen] = {}

    def _of(self, request: Request) -> Seen:
        """Return what interceptors have seen of a request in progress."""
        seen = self._seen.get(request)
        if seen is None:
            call = WorkerCall(request, self._name, request.name, request.began, request.context)
            seen = self._seen[request] = Seen(call, 0)
            seen.begun, seen.admitted = len(self._interceptors), True
        return seen

    def _failed(self, failure: Failure, request: Request, method: StubMethod, run: Run | None) -> None:
        call, error = self._of(request).call, failure.value
        call.error = error
        if request.state is CANCELLING:
            call.ending = Ending.CANCELLED
        elif call.ending is None:
            answered = isinstance(error, (TApplicationException, *(each for _, each in method.throws)))
            call.ending = Ending.RAISED if answered and not method.oneway else Ending.FAILED
        super()._failed(failure, request, method, run)

    def _unfit(self, request: Request, error: Exception) -> None:
        call = self._of(request).call
        call.error, call.ending = error, Ending.FAILED

    def _finish(self, request: Request, body: bytes | None, run: Run | None) -> None:
        if self._seen and request in self._seen:
            self._tell_end(self._seen.pop(request), body)
        else:
            call = WorkerCall(request, self._name, request.name, request.began, request.context)
            call.ended, call.ending = self._clock.seconds(), RETURNED
            if body is not None:
                call.reply_size = len(body)
            for after in self._after:  # not by tell(), which is a function more on the common path
                try:
                    after(call)
                except BaseException:
                    log_error(after, call)
        if body is not None and request.context.has_reply_headers:
            self._of(request)  # takes the error of headers that cannot be sent: all have been told
            body = self._checked(request, body)
            del self._seen[request]
        self._end(request, body, run)

    def _tell_end(self, seen: Seen, body: bytes | None) -> None:
        """Tell the interceptors that have admitted a call that it has ended."""
        call = seen.call
        call.ended = self._clock.seconds()
        call.reply_size = len(body or b"")
        if call.ending is None:  # so the handler has run, and all have admitted the call
            call.ending = RETURNED
            for after in self._after:
                tell(after, call)
        else:
            for failed in reversed(self._failing[: seen.begun]):
                if failed is not None:
                    tell(failed, call)

    def rejected(self, request: Request, rejection: Rejection, is_dead_letter: bool) -> None:
        """See :class:`~rpc.worker.execution.Execution`. The interceptors are told, unless they know the call."""
        known = self._seen.get(request)
        if known is not None:
            known.call.dead_letter = known.call.dead_letter or is_dead_letter
            return
        self._tell_rejected(request, Ending.REJECTED, rejection.answer, is_dead_letter)

    def dropped(self, request: Request) -> None:
        """See :class:`~rpc.worker.execution.Execution`. The interceptors are told as of a rejection."""
        request.peek(self._name)
        self._tell_rejected(request, Ending.DROPPED, CancelledError(), False)

    def _tell_rejected(self, request: Request, ending: Ending, error: Exception, is_dead_letter: bool) -> None:
        now = self._clock.seconds()
        call = WorkerCall(request, self._name, request.name, now, None)
        call.ended, call.ending, call.error = now, ending, error
        call.dead_letter, call.is_known = is_dead_letter, request.name in self._methods
        for method in self._rejecting:
            tell(method, call)
