"""Calls of clients that have interceptors. Clients without interceptors use none of this.

The interception stands between the stub and the caller. An operation of its own for each call carries what the caller
and the attempts have to tell: sizes, ids, the number of the attempt, and the headers to send.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CoroutineType
from typing import Any

from thrift.Thrift import TException
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from rpc import log
from rpc.client.caller import Caller
from rpc.client.operation import Operation
from rpc.context import CallContext
from rpc.errors import Outcome, RPCError
from rpc.headers import ATTEMPT
from rpc.interceptors import does, tell

NO_HEADERS: Mapping[str, Any] = {}


class ClientCall:
    """A call as a client's interceptors see it. Arguments and results are not shown.

    :ivar began: when the call began, in seconds of the reactor's clock.
    :ivar deadline: when it ends at the latest, of the same clock.
    :ivar context: the call being served for which this nested call is made, or ``None``.
    :ivar attempt: the number of the present attempt; 0 until the first is made.
    :ivar message_id: the call's id on the wire; ``None`` until the first attempt is made.
    :ivar request_size: bytes of the request's body; 0 until it is encoded.
    :ivar reply_size: bytes of the reply's body; 0 until it has come.
    :ivar reply_headers: the metadata of a reply with a result.
    :ivar error: the exception of the call, or of its last attempt; ``None`` while there is none.
    :ivar ended: when the call ended, in seconds of the clock; ``None`` before.
    :ivar changed_headers: :attr:`headers`, if an interceptor has asked for them.
    :ivar notes: for the interceptors, to keep values until the call ends. The key is the interceptor itself.
    """

    __slots__ = (
        "_operation",
        "attempt",
        "began",
        "changed_headers",
        "context",
        "deadline",
        "ended",
        "error",
        "message_id",
        "notes",
        "reply_headers",
        "reply_size",
        "request_size",
    )

    def __init__(self, operation: Operation, began: float, deadline: float, context: CallContext | None) -> None:
        self._operation = operation
        self.changed_headers: dict[str, Any] | None = None
        self.began = began
        self.deadline = deadline
        self.context = context
        self.attempt = self.request_size = self.reply_size = 0
        self.message_id: str | None = None
        self.reply_headers = NO_HEADERS
        self.error: BaseException | None = None
        self.ended: float | None = None
        self.notes: dict[object, Any] = {}

    @property
    def service(self) -> str:
        """The service's name on the wire; with ``@`` and the instance for a call to one worker."""
        return self._operation.service

    @property
    def method(self) -> str:
        """The method's name in the IDL."""
        return self._operation.name

    @property
    def label(self) -> str:
        """``<service>.<method>``."""
        return self._operation.label

    @property
    def oneway(self) -> bool:
        """Whether the method has no reply."""
        return self._operation.oneway

    @property
    def exchange(self) -> str:
        """Where the request is published: ``"rpc"``, ``"rpc.broadcast"``, or that of the client's option."""
        return self._operation.options.exchange

    @property
    def protocol(self) -> str:
        """``"binary"``, ``"compact"`` or ``"json"``."""
        return self._operation.options.protocol

    @property
    def headers(self) -> dict[str, Any]:
        """The metadata of the request, to be changed: inherited from the call being served, and of the client's option.

        Values are those that AMQP has. Headers that do not fit into a frame fail the call.
        """
        headers = self.changed_headers
        if headers is None:
            inherited = {} if self.context is None else self.context.metadata
            headers = self.changed_headers = {**inherited, **(self._operation.options.headers or {})}
        return headers

    @property
    def outcome(self) -> Outcome | None:
        """Whether a failed call was executed; ``None`` when it was answered, has succeeded or has not ended."""
        return self.error.outcome if isinstance(self.error, RPCError) else None

    def __repr__(self) -> str:
        return f"<call of {self.label}>"


class InterceptedOperation(Operation):
    """The operation of one call with interceptors."""

    def __init__(self, operation: Operation, call: ClientCall, retrying: list[Callable[[Any], object]]) -> None:
        """:param retrying: the interceptors' methods, for an attempt that has failed."""
        self.__dict__.update(operation.__dict__)
        self._inner = operation
        self._call = call
        self._retrying = retrying

    def encode(self, seqid: int, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bytes:
        """See :class:`~rpc.client.operation.Operation`."""
        body = self._inner.encode(seqid, arguments, keywords)
        self._call.request_size = len(body)
        return body

    def decode(self, seqid: int, body: bytes) -> tuple[Any, Exception | None]:
        """See :class:`~rpc.client.operation.Operation`."""
        self._call.reply_size = len(body)
        return self._inner.decode(seqid, body)

    def properties(
        self,
        reply_to: str,
        call_id: bytes,
        expiration: bytes,
        inherited: Mapping[str, Any],
        user: str | None = None,
    ) -> bytes:
        """See :class:`~rpc.client.operation.Operation`."""
        call = self._call
        if call.message_id is None:
            call.message_id = call_id[1:].decode()
        attempt = inherited.get(ATTEMPT)
        call.attempt = 1 if attempt is None else attempt
        headers = call.changed_headers
        if headers is None:
            return self._inner.properties(reply_to, call_id, expiration, inherited, user)
        if attempt is not None:
            headers = {**headers, ATTEMPT: attempt}
        return self._inner.properties_with(reply_to, call_id, expiration, headers, user)

    def on_metadata(self, metadata: Mapping[str, Any]) -> None:
        """See :class:`~rpc.client.operation.Operation`."""
        self._call.reply_headers = metadata

    def on_retry(self, error: RPCError) -> None:
        """See :class:`~rpc.client.operation.Operation`."""
        self._call.error = error
        for retrying in self._retrying:
            tell(retrying, self._call)
        self._call.error = None


class InterceptedCaller:
    """Makes calls on a caller, with interceptors before it. The base class's methods are not called."""

    def __init__(self, caller: Caller, interceptors: tuple[Any, ...]) -> None:
        self._caller = caller
        self._interceptors = interceptors
        self._before = [(place, each.before) for place, each in enumerate(interceptors) if does(each.before)]
        self._retrying = [each.retrying for each in interceptors if does(each.retrying)]
        self._after = [each.after for each in reversed(interceptors) if does(each.after)]
        self._failing = [each.failed if does(each.failed) else None for each in interceptors]

    def call(self, operation: Operation, /, *arguments: Any, **keywords: Any) -> Deferred[Any]:
        """See :meth:`rpc.client.caller.Caller.call`."""
        call = ClientCall(operation, *self._caller.times_of(operation))
        for place, before in self._before:
            try:
                answer = before(call)
                if answer is not None:
                    _refuse_answer(answer)
            except Exception as error:
                return fail(self._refused(call, error, place))
        intercepted = InterceptedOperation(operation, call, self._retrying)
        try:
            calling = self._caller.call(intercepted, *arguments, **keywords)
        except BaseException as error:
            self._tell_failed(call, error, len(self._interceptors))
            raise
        return calling.addCallbacks(self._succeeded, self._failed, (call,), errbackArgs=(call,))

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

    def _succeeded(self, result: Any, call: ClientCall) -> Any:
        call.ended = self._caller.now()
        for after in self._after:
            tell(after, call)
        return result

    def _failed(self, failure: Failure, call: ClientCall) -> Failure:
        self._tell_failed(call, failure.value, len(self._interceptors))
        return failure

    def _tell_failed(self, call: ClientCall, error: BaseException | None, begun: int) -> None:
        call.error = error
        call.ended = self._caller.now()
        for place in range(begun - 1, -1, -1):
            failed = self._failing[place]
            if failed is not None:
                tell(failed, call)


def _refuse_answer(answer: object) -> None:
    if isinstance(answer, CoroutineType):
        answer.close()
    raise TypeError(f"before returned {type(answer).__name__}, not None: a client's interceptor decides at once")


def call_method(caller: Caller, interceptors: tuple[Any, ...]) -> Any:
    """Return the function that makes calls on `caller`, with the interceptors, if there are any."""
    return InterceptedCaller(caller, interceptors).call if interceptors else caller.call
