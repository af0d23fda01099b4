"""The worker's end: requests come in, handlers run, replies go out, and then the request is acked.

A request settles once, at the end of its way: acked when its reply was written or nobody waits for one, refused or
dead-lettered when no handler is to see it. What a peer sends never ends the consumer: every error becomes a reply.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as DrainTimeout
from twisted.python import log
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc import context
from rpc.amqp.acks import AckCollector
from rpc.amqp.channel import Channel, then_declare
from rpc.amqp.content import Delivery
from rpc.amqp.properties import encode_properties
from rpc.errors import AMQPError, ChannelClosed, CodecError
from rpc.interfaces import IChannelUser, IClock
from rpc.link import Link
from rpc.service import ThriftService
from rpc.stub import StubMethod
from rpc.topology import DEAD, EXCLUSIVE_QUEUE
from rpc.transport.request import Refused, Request

PRECONDITION_FAILED = 406


@implementer(IChannelUser)
class ServingTransport:
    """One service on one channel of a link.

    :ivar consuming: whether the service's queue is consumed just now.
    :ivar on_consuming: called when it is.
    :ivar running: calls in progress.
    :ivar lost_replies: replies whose caller was gone.
    """

    def __init__(self, service: ThriftService, handler: Any, link: Link, clock: IClock) -> None:
        self._service = service
        self._methods = service.description.methods
        self._handlers = {name: getattr(handler, name) for name in self._methods}
        self._topology = service.topology()
        self._link = link
        self._clock = clock
        self._ack_first = service.acknowledge == "before"
        self._channel: Channel | None = None
        self._acks: AckCollector | None = None
        self._consumer_tags: list[str] = []
        self._held: deque[Request] = deque()
        self._starting = False
        self._stopping = False
        self._idle: list[Deferred[None]] = []
        self._refused = 0  # since the log was last told
        self._refused_told = float("-inf")
        self.consuming = False
        self.on_consuming: Callable[[], None] = _nobody_asked
        self.running = 0
        self.lost_replies = 0

    # -- the channel

    def opened(self, channel: Channel) -> Deferred[None]:
        """Declare the service's exchanges and queues, and consume."""
        channel.on_return = self._returned
        self._channel = channel
        self._acks = AckCollector(channel)
        self._consumer_tags = []
        prepared: Deferred[Any] = channel.basic_qos(prefetch_count=self._service.concurrency)
        for declaration in self._topology.shared():
            prepared.addCallback(then_declare, channel, declaration)
        prepared.addCallback(then_declare, channel, EXCLUSIVE_QUEUE)
        prepared.addCallback(lambda answer: self._consume_own(channel, answer.queue))
        prepared.addCallback(lambda _: self._consume(channel, self._topology.queue))
        return prepared.addCallbacks(self._begun, self._explain)

    def _begun(self, _: object) -> None:
        log.msg(f"serving {self._service.name} from {self._topology.queue}")
        self.consuming = True
        self.on_consuming()

    def _explain(self, failure: Failure) -> Failure:
        if isinstance(failure.value, ChannelClosed) and failure.value.code == PRECONDITION_FAILED:
            log.msg(
                f"{self._service.name}: a queue or exchange exists with other options (queue_type, backlog, exchange, "
                "or those of an older version): delete it, or serve with the same options"
            )
        return failure

    def _consume_own(self, channel: Channel, queue: str) -> Deferred[Any]:
        bound: Deferred[Any] = succeed(None)
        for declaration in self._topology.own(self._link.instance, queue):
            bound.addCallback(then_declare, channel, declaration)
        return bound.addCallback(lambda _: self._consume(channel, queue))

    def _consume(self, channel: Channel, queue: str) -> Deferred[None]:
        if self._stopping:
            return succeed(None)  # what is delivered now would be given back, to be delivered again, without end
        gone = AMQPError(f"the queue {queue} was deleted, or its node is gone")

        def cancelled() -> None:
            channel.abandon(gone)

        return channel.consume(queue, self._delivered, cancelled).addCallback(self._consuming, channel)

    def _consuming(self, consumer_tag: str, channel: Channel) -> Deferred[None] | None:
        if self._stopping:
            return channel.cancel_consumer(consumer_tag)
        self._consumer_tags.append(consumer_tag)
        return None

    def lost(self, reason: Exception) -> None:
        """What was not acked is delivered again, to whoever consumes then. Calls in progress run to their end."""
        self._channel = None
        self._acks = None
        self._held.clear()
        self.consuming = False

    # -- a request's way

    def _delivered(self, delivery: Delivery) -> None:
        request = Request(delivery, self._clock.seconds())
        if self._stopping:
            self._reject(delivery)
        elif self.running < self._service.concurrency or len(delivery.body) > self._service.max_message_size:
            self._start(request)
        else:
            self._held.append(request)  # of the second queue, or of a prefetch that early acks have outrun

    def _start_held_later(self) -> None:
        """Begin one request that was held in the next reactor turn.

        One in a turn: decoding a large one takes seconds, and between two of them heartbeats must go out.
        """
        if self._held and not self._starting:
            self._starting = True
            self._clock.callLater(0, self._start_held)

    def _start_held(self) -> None:
        self._starting = False
        if not self._held or self.running >= self._service.concurrency:
            return
        request = self._held.popleft()
        if request.deadline is not None and request.deadline <= self._clock.seconds():
            self._ack(request.delivery)  # nobody waits for it any more
        else:
            self._start(request)
        self._start_held_later()

    def _start(self, request: Request) -> None:
        if self._ack_first:
            self._ack(request.delivery)
        try:
            method, arguments = request.read(self._service.name, self._methods, self._service.max_message_size)
        except Refused as refused:
            self._refuse(request, refused)
            return
        self.running += 1
        request.serve(self._service.name, method)
        token = context.serving.set(request.context)
        try:
            handler = self._handlers[method.name]
            value = handler(*method.arguments_of(arguments))
            if isinstance(value, CoroutineType):
                value = Deferred.fromCoroutine(value)
        except BaseException:  # as a Deferred would: a handler that exits must not take the connection with it
            self._failed(Failure(), request, method)
        else:
            if isinstance(value, Deferred):
                value.addCallbacks(
                    self._succeeded, self._failed, callbackArgs=(request, method), errbackArgs=(request, method)
                )
                value.addErrback(self._unanswered, request)
            else:
                self._succeeded(value, request, method)
        finally:
            context.serving.reset(token)

    def _succeeded(self, value: Any, request: Request, method: StubMethod) -> None:
        if method.result_class is None:
            self._finish(request, None)
            return
        result = method.result_class()
        if method.has_result:
            result.success = value
            if value is None:
                log.msg(f"{request.label} returned None, which the IDL has no room for: is a return missing?")
        self._reply(request, method, TMessageType.REPLY, result)

    def _failed(self, failure: Failure, request: Request, method: StubMethod) -> None:
        error = failure.value
        if method.result_class is not None:
            for name, exception in method.throws:
                if isinstance(error, exception):
                    result = method.result_class()
                    setattr(result, name, error)
                    self._reply(request, method, TMessageType.REPLY, result)
                    return
            if isinstance(error, TApplicationException):
                self._reply(request, method, TMessageType.EXCEPTION, error)
                return
        log.err(failure, f"{request.label} failed")
        if method.result_class is None:
            self._finish(request, None)  # also when it came as a CALL: a oneway method has no answer
        else:
            self._reply(request, method, TMessageType.EXCEPTION, _internal_error())

    def _reply(self, request: Request, method: StubMethod, kind: int, struct: Any) -> None:
        """Answer with `struct`; one that does not encode leaves nothing behind of itself (Thrift's stubs do)."""
        body = None
        if request.wants_reply:
            try:
                if kind == TMessageType.REPLY and method.check_result is not None:
                    method.check_result(struct)
                body = request.reply(kind, struct)
            except Exception:
                log.err(None, f"{request.label} returned what does not fit the IDL")
                body = request.reply(TMessageType.EXCEPTION, _internal_error())
            if len(body) > self._service.max_message_size:
                log.msg(f"{request.label}: a reply of {len(body)} bytes, over the service's max_message_size")
                body = request.reply(TMessageType.EXCEPTION, _internal_error("the reply is too large"))
        self._finish(request, body)

    def _finish(self, request: Request, body: bytes | None) -> None:
        self.running -= 1
        if body is not None:
            self._send(request, body)
        if not self._ack_first:
            self._ack(request.delivery)
        request.context.answered = True
        if self._held:
            self._start_held_later()
        elif self.running == 0 and self._idle:
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)

    def _send(self, request: Request, body: bytes, outcome: str | None = None) -> None:
        channel = request.delivery.channel
        if channel.closed:
            # The request may be delivered again, or may not: its queue may be gone, or it was acked before.
            if self._channel is None:
                return
            channel = self._channel
        try:
            properties = request.reply_properties(self._clock.seconds(), outcome)
            channel.publish("", request.reply_to or "", properties, body, True)
        except Exception:  # whatever a peer has done to make it so, the request is to be acked
            log.err(None, f"{request.label}: the reply cannot be sent")

    def _returned(self, _: object) -> None:
        self.lost_replies += 1

    def _unanswered(self, failure: Failure, request: Request) -> None:
        log.err(failure, f"{request.label}: while answering")

    # -- settling without a handler

    def _refuse(self, request: Request, refused: Refused) -> None:
        self._tell_refused(refused)
        if request.wants_reply:
            self._send(request, request.reply(TMessageType.EXCEPTION, refused.answer), refused.outcome)
        if refused.poison:
            self._bury(request, str(refused))
        if not self._ack_first:
            self._ack(request.delivery)

    def _tell_refused(self, refused: Refused) -> None:
        """Log a refusal; a peer that is refused a thousand times a second gets one line a second."""
        self._refused += 1
        now = self._clock.seconds()
        if now - self._refused_told >= 1:
            log.msg(f"{self._service.name}: refused {self._refused} requests; the last one: {refused}")
            self._refused, self._refused_told = 0, now

    def _bury(self, request: Request, reason: str) -> None:
        """Publish the request to the dead letters, as it came, with the reason."""
        channel = request.delivery.channel
        if channel.closed:
            return
        body = request.delivery.body
        try:
            channel.publish(DEAD, self._service.name, encode_properties(request.dead_letter(reason)), body)
        except CodecError:  # with the reason, headers that filled a frame fill more than one
            bare = encode_properties(request.dead_letter(reason, with_headers=False))
            channel.publish(DEAD, self._service.name, bare, body)

    def _ack(self, delivery: Delivery) -> None:
        if self._acks is not None and delivery.channel is self._channel:
            self._acks.ack(delivery.delivery_tag)

    def _reject(self, delivery: Delivery) -> None:
        if self._acks is not None and delivery.channel is self._channel:
            self._acks.reject(delivery.delivery_tag, requeue=True)

    # -- leaving

    def drain(self, within: float) -> Deferred[None]:
        """Take no more work, give back what has not begun, and finish what has.

        :param within: seconds; what is in progress then is given up.
        :return: fires when nothing is in progress, or at the bound, with all acked that was settled. Never fails.
        """
        self._stopping = True
        while self._held:
            self._reject(self._held.popleft().delivery)
        drained: Deferred[Any] = succeed(None)
        if self._channel is not None:
            for tag in self._consumer_tags:
                drained.addCallback(_then_cancel, self._channel, tag)
            drained.addErrback(lambda failure: failure.trap(AMQPError))
        drained.addCallback(lambda _: self._when_idle())
        drained.addTimeout(within, self._clock)
        drained.addErrback(lambda failure: failure.trap(DrainTimeout))
        return drained.addCallback(lambda _: self._acks.flush() if self._acks is not None else None)

    def resume(self) -> None:
        """Take work again after :meth:`drain`, from the next channel on."""
        self._stopping = False

    def _when_idle(self) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        if self.running == 0:
            waiting.callback(None)
        else:
            self._idle.append(waiting)
        return waiting


def _nobody_asked() -> None:
    """What is called when a service is consumed, unless somebody wants to know."""


def _internal_error(message: str = "Internal error") -> TApplicationException:
    """What a caller is told of an error that is not in the IDL: its message may hold what is none of his business."""
    return TApplicationException(TApplicationException.INTERNAL_ERROR, message)


def _then_cancel(_: object, channel: Channel, consumer_tag: str) -> Deferred[None]:
    return channel.cancel_consumer(consumer_tag)
