"""From a request to its reply: the handler is called, its result written, and the request acked."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from rpc import context, log
from rpc.amqp.codec.headers import encode_headers
from rpc.amqp.codec.properties import MESSAGE_ID
from rpc.envelope import REPLACE, misfit
from rpc.errors import CodecError
from rpc.interfaces import IClock, IDeliveryChannel
from rpc.signing import check_signable
from rpc.stub import StubMethod
from rpc.worker.arguments import ArgumentsReader
from rpc.worker.coroutines import run_coroutine
from rpc.worker.deduplication import RecentReplies
from rpc.worker.delivery_state import DeliveryState
from rpc.worker.in_progress import InProgress, Run
from rpc.worker.last_replies import CANCELLED, Answered, LastReplies
from rpc.worker.limiter import ConcurrencyLimiter
from rpc.worker.reactor_watch import ReactorWatch
from rpc.worker.rejection import Rejection, internal_error, reply_too_large
from rpc.worker.request import OWN_QUEUE, Request
from rpc.worker.service import ThriftService
from rpc.worker.unfinished import NO_RESULTS, failure_of, is_unfinished

CANCELLING = DeliveryState.CANCELLING

LARGEST_REPLY_HEADERS = 64 * 1024
"""Bytes, encoded. All properties of a message must fit into one frame, usually of 128 KiB."""

OTHER_PROPERTIES = 1280
"""Bytes of a content header beside the reply's headers, at most: three short strings of a peer, and short ones of ours
(AMQP 0-9-1, section 4.2.6.1), and a signature.
"""


class Execution:
    """Runs the requests of one service."""

    def __init__(
        self,
        service: ThriftService,
        handler: Any,
        channel: IDeliveryChannel,
        limiter: ConcurrencyLimiter,
        in_progress: InProgress,
        last: LastReplies,
        recent: RecentReplies | None,
        reject: Callable[[Request, Rejection], None],
        take_again: Callable[[Request], None],
        watch: ReactorWatch,
        clock: IClock,
    ) -> None:
        """
        :param reject: carries out a rejection.
        :param take_again: decides once more on a request that has waited for the end of a run.
        """
        self._name = service.name
        self._max_message_size = service.max_message_size
        self._methods = service.description.methods
        self._arguments = ArgumentsReader(service.name, service.invalid_utf8 == REPLACE, service.max_elements)
        self._handlers = {name: getattr(handler, method.attribute) for name, method in self._methods.items()}
        self._channel = channel
        self._limiter = limiter
        self._in_progress = in_progress
        self._last = last
        self._recent = recent
        self._reject = reject
        self._take_again = take_again
        self._watch = watch
        self._clock = clock

    @context.enters_context
    def run(self, request: Request, now: float) -> None:
        """Call the handler of a request for which a slot is free, and reply when it has ended."""
        try:
            method, start = request.read_head(self._name, self._methods)
            arguments = self._arguments.read(request, method, start)
        except Rejection as rejection:
            self._reject(request, rejection)
            return
        limiter = self._limiter
        limiter.enter()
        token = context.serving.set(request.serve(self._name, method, now, limiter.wait))
        try:
            value = self._handlers[method.name](*method.arguments_of(arguments))
            if isinstance(value, CoroutineType):
                value = run_coroutine(value)
        except BaseException:  # as a Deferred catches: a SystemExit of a handler must not end the connection
            self._failed(Failure(), request, method, None)
        else:
            if isinstance(value, Deferred):
                self._follow(value, request, method)
            else:
                self._succeeded(value, request, method, None)
        finally:
            context.serving.reset(token)

    def _follow(self, value: Deferred[Any], request: Request, method: StubMethod) -> None:
        blocked = self._clock.seconds() - request.began
        if blocked > self._watch.limit:
            self._watch.blocked(str(request.label), blocked)
        run = self._in_progress.begin(request, value)
        arguments = (request, method, run)
        value.addCallbacks(self._succeeded, self._failed, callbackArgs=arguments, errbackArgs=arguments)
        value.addErrback(_unanswered, request)

    def _succeeded(self, value: Any, request: Request, method: StubMethod, run: Run | None) -> None:
        if isinstance(value, NO_RESULTS) or (value is not None and not method.has_result and is_unfinished(value)):
            self._failed(failure_of(value), request, method, run)
            return
        if method.result_class is None:
            self._finish(request, None, run)
            return
        result = method.result_class()
        if method.has_result:
            result.success = value
            if value is None:
                text = f"{request.label} returned None instead of a value: is a return missing?"
                log.warn(text, **self._fields(request))
        self._reply(request, method, TMessageType.REPLY, result, run)

    def _failed(self, failure: Failure, request: Request, method: StubMethod, run: Run | None) -> None:
        error = failure.value
        if request.state is CANCELLING:
            self._finish(request, None, run)
            return
        if method.result_class is not None:
            for name, exception in method.throws:
                if isinstance(error, exception):
                    result = method.result_class()
                    setattr(result, name, error)
                    self._reply(request, method, TMessageType.REPLY, result, run)
                    return
            if isinstance(error, TApplicationException):
                self._reply(request, method, TMessageType.EXCEPTION, error, run)
                return
        log.err(failure, f"{request.label} failed", **self._fields(request))
        if method.result_class is None:
            self._finish(request, None, run)  # also when it came as a CALL: a oneway method has no reply
        else:
            self._reply(request, method, TMessageType.EXCEPTION, internal_error(), run)

    def _reply(self, request: Request, method: StubMethod, kind: int, struct: Any, run: Run | None) -> None:
        """Reply with `struct`, or with an INTERNAL_ERROR if it does not encode.

        Thrift's own stubs write the error behind the half reply. A request without a reply queue has a reply as well,
        for later deliveries of its call.
        """
        body = None
        if not request.oneway:
            try:
                if kind == TMessageType.REPLY and method.check_result is not None:
                    method.check_result(struct)
                body = request.reply(kind, struct)
            except Exception as error:
                text = f"{request.label} returned a value that does not fit the IDL{_where(struct)}"
                log.err(None, text, **self._fields(request))
                self._unfit(request, error)
                body = request.reply(TMessageType.EXCEPTION, internal_error())
            if request.context.has_reply_headers:
                body = self._checked(request, body)
            if len(body) > self._max_message_size:
                text = f"{request.label}: a reply of {len(body)} bytes, over the service's max_message_size"
                log.warn(text, **self._fields(request))
                too_large = reply_too_large(request.label)
                body = request.reply(TMessageType.EXCEPTION, too_large)
                self._unfit(request, too_large)
        self._finish(request, body, run)

    def _fields(self, request: Request) -> dict[str, Any]:
        """Return the fields of a log line about a request that runs."""
        context = request.context
        return {"service": self._name, "method": context.method, "message_id": context.message_id}

    def _unfit(self, request: Request, error: Exception) -> None:
        """Note that the result of a handler was not sent, because of `error`."""

    def rejected(self, request: Request, rejection: Rejection, is_dead_letter: bool) -> None:
        """Called when the worker has rejected a request, also one that was not given to :meth:`run`."""

    def dropped(self, request: Request) -> None:
        """Called when a request has ended before it began: it was cancelled, or its deadline has passed."""

    def _checked(self, request: Request, body: bytes) -> bytes:
        """Return `body`, or an INTERNAL_ERROR when the handler has set reply headers that cannot be sent."""
        try:
            size = len(encode_headers(request.context.reply_headers))
            most = min(LARGEST_REPLY_HEADERS, request.delivery.channel.client.max_body_frame - OTHER_PROPERTIES)
            if size > most:
                raise CodecError(f"the headers have {size} bytes; at most {most} are allowed")
            if request.signed is not None:
                check_signable(request.context.reply_headers)
        except CodecError as error:
            log.err(None, f"{request.label} set reply headers that cannot be sent", **self._fields(request))
            self._unfit(request, error)
            request.context.reply_headers.clear()
            return request.reply(TMessageType.EXCEPTION, internal_error())
        return body

    def _finish(self, request: Request, body: bytes | None, run: Run | None) -> None:
        """Send the reply, and ack the request and every delivery that joined it."""
        channel, now = self._channel, self._clock.seconds()
        cancelled = request.state is CANCELLING
        if body is not None and request.reply_to is not None and not cancelled:
            channel.send(request, body, now)
        is_acked = request.acked or channel.ack_delivery(request.delivery)
        request.finish()
        if request.source not in OWN_QUEUE:  # a request of the worker's own queue is never delivered again
            last, asked = self._last, request.delivery.body
            reply = CANCELLED if cancelled else body if body is None or len(body) <= last.largest else len(body)
            asked_or_hash = asked if len(asked) <= last.largest else hash(asked)
            last.note((request.parts[MESSAGE_ID], asked_or_hash, reply))
            if not is_acked:  # the request comes again, perhaps behind many others
                last.keep_unacked(now)
        if self._recent is not None:
            self._recent.add(request.identity, body, now, cancelled)
        if run is None:
            if now - request.began > self._watch.limit:
                self._watch.blocked(str(request.label), now - request.began)
        else:
            self._in_progress.end(run)
            self._settle_joined(request, body, run.joined, now)
            for following in run.following:
                self._take_again(following)
        limiter = self._limiter
        limiter.leave(limiter.waiting > 0 and request.context.waits)

    def _settle_joined(self, request: Request, body: bytes | None, joined: list[Request], now: float) -> None:
        """Settle later deliveries of a call, and reply to those with another reply queue or correlation id."""
        answered = {request.reply_address}
        for later in joined:
            if body is not None and later.wants_reply and later.reply_address not in answered:
                answered.add(later.reply_address)
                self._channel.send(later, body, now)
            self._channel.ack(later)
            later.settle()

    def answer_again(self, request: Request, answered: Answered, now: float) -> None:
        """Send the reply of a call that has run here again, and ack the request."""
        request.peek(self._name)
        if request.wants_reply and not answered.cancelled:
            body = answered.body
            if body is None:
                too_large = answered.size > self._channel.largest_message
                label = request.label
                not_kept = f"{label}: the call has run; its reply is not kept"
                error = reply_too_large(label) if too_large else internal_error(not_kept)
                body = request.reply(TMessageType.EXCEPTION, error)
            self._channel.send(request, body, now)
        self._channel.ack(request)
        request.settle()


def _where(struct: Any) -> str:
    """Return which value of a result does not fit; nothing when it is not known."""
    found = misfit(type(struct), struct)
    if found is None:
        return ""
    path, reason = found
    return f": {re.sub('^success', 'result', path)}: {reason[:300]}"


def _unanswered(failure: Failure, request: Request) -> None:
    log.err(failure, f"{request.label}: while answering")
