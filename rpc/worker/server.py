"""The worker's end: requests come in, handlers run, replies go out, and then the request is acked.

A request settles once, at the end of its way: acked when its reply was written or nobody waits for one, refused or
dead-lettered when no handler is to see it. What a peer sends never ends the consumer: every error becomes a reply.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from types import CoroutineType
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.defer import TimeoutError as DrainTimeout
from twisted.python import log
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc import context
from rpc.amqp.acks import AckCollector
from rpc.amqp.channel import Channel, then_declare
from rpc.amqp.content import Delivery
from rpc.errors import AMQPError, ChannelClosed, ConnectionClosed, HeartbeatMissed
from rpc.headers import DELIVERIES
from rpc.interfaces import IChannelUser, IClock
from rpc.link import Link
from rpc.stub import StubMethod
from rpc.topology import EXCLUSIVE_QUEUE, NESTED_KEY_ENDS
from rpc.worker.deduplication import Answered, RecentReplies
from rpc.worker.in_progress import Progress
from rpc.worker.limiter import Places
from rpc.worker.rejection import OVERLOADED, STOPPING, Refusing
from rpc.worker.republisher import Mover
from rpc.worker.request import Refused, Request
from rpc.worker.service import ThriftService

PRECONDITION_FAILED = 406

QUARANTINED_AT_ONCE = 1
"""Of those requests that may end a worker: what else is with them would be taken for the culprit as well."""

OWN_AT_ONCE = 20_000
"""Of the worker's own queue: far more than its handlers make, and no more than a worker can bear."""

MOST_HELD = 10_000
"""Requests to this worker alone that wait here for a place, when the service has no backlog."""


@implementer(IChannelUser)
class ServingTransport:
    """One service on one channel of a link.

    :ivar consuming: whether the service's queue is consumed just now.
    :ivar on_consuming: called when it is.
    :ivar lost_replies: replies whose caller was gone.
    """

    def __init__(self, service: ThriftService, handler: Any, link: Link, clock: IClock, mover: Mover) -> None:
        self._service = service
        self._methods = service.description.methods
        self._handlers = {name: getattr(handler, name) for name in self._methods}
        self._topology = service.topology()
        self._quarantine = self._topology.quarantine_queue
        self._link = link
        self._clock = clock
        self._mover = mover
        self._ack_first = service.acknowledge == "before"
        self._limit = service.redelivery_limit
        self._places = Places(clock, service.concurrency, self._start_held)
        self._refusing = Refusing(service, self, self._places, mover, clock)
        self._recent = None if service.deduplicate is None else RecentReplies[Request](service.deduplicate)
        self._progress = Progress(clock, self._give_sign, service.cancel)
        self._channel: Channel | None = None
        self._acks: AckCollector | None = None
        self._shared_consumers: list[str] = []
        self._stopping = False
        self._survived: set[Hashable] = set()
        self._was_cut_off = False
        self.consuming = False
        self.on_consuming: Callable[[], None] = _nobody_asked
        self.lost_replies = 0

    @property
    def running(self) -> int:
        """Calls in progress."""
        return self._places.running

    # -- the channel

    def opened(self, channel: Channel) -> Deferred[None]:
        """Declare the service's exchanges and queues, and consume."""
        channel.on_return = self._returned
        self._channel = channel
        self._acks = AckCollector(channel)
        self._shared_consumers = []
        prepared: Deferred[Any] = succeed(None)
        for declaration in self._topology.shared():
            prepared.addCallback(then_declare, channel, declaration)
        prepared.addCallback(then_declare, channel, EXCLUSIVE_QUEUE)
        prepared.addCallback(lambda answer: self._consume_own(channel, answer.queue))
        prepared.addCallback(lambda _: self._consume_shared(channel, self._topology.queue, self._service.concurrency))
        prepared.addCallback(lambda _: self._consume_shared(channel, self._quarantine, QUARANTINED_AT_ONCE))
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
        """Consume the worker's own queue: what handlers call must come through when all places are taken, and what
        calls them off as well.
        """
        bound: Deferred[Any] = channel.basic_qos(prefetch_count=OWN_AT_ONCE)
        for declaration in self._topology.own(self._link.instance, queue):
            bound.addCallback(then_declare, channel, declaration)
        return bound.addCallback(lambda _: self._consume(channel, queue, self._delivered_own))

    def _consume_shared(self, channel: Channel, queue: str, prefetch: int) -> Deferred[Any]:
        if self._stopping:
            return succeed(None)  # what is delivered now would be given back, to be delivered again, without end
        ready: Deferred[Any] = channel.basic_qos(prefetch_count=prefetch)
        ready.addCallback(lambda _: self._consume(channel, queue, self._delivered))

        def consuming(consumer_tag: str) -> Deferred[None] | None:
            if self._stopping:
                return channel.cancel_consumer(consumer_tag)
            self._shared_consumers.append(consumer_tag)
            return None

        return ready.addCallback(consuming)

    def _consume(self, channel: Channel, queue: str, consumer: Callable[[Delivery], None]) -> Deferred[str]:
        gone = AMQPError(f"the queue {queue} was deleted, or its node is gone")

        def cancelled() -> None:
            channel.abandon(gone)

        return channel.consume(queue, consumer, cancelled)

    def lost(self, reason: Exception) -> None:
        """What was not acked is delivered again, to whoever consumes then. Calls in progress run to their end.

        If it is delivered to this worker, it has not ended that: it is not counted as unfinished. Nor is what was on
        its way to this worker when the network failed, which is all that comes again before anything new.
        """
        had = [*self._places.held, *self._progress.requests()]
        self._survived = {request.identity for request in had if request.message_id is not None}
        network = isinstance(reason, HeartbeatMissed) or (isinstance(reason, ConnectionClosed) and not reason.code)
        self._was_cut_off = self._was_cut_off or network
        self._channel = None
        self._acks = None
        self._places.forget_shared()
        self.consuming = False

    def blocked(self, reason: str | None) -> None:
        """Replies wait in the connection until the broker reads again."""

    @property
    def exchange(self) -> str:
        """Where the service's requests are published."""
        return self._service.exchange

    def nested_key(self) -> str | None:
        """The routing key by which this worker reaches itself, for what its handlers call; ``None``: not just now."""
        return self._topology.nested_key(self._link.instance) if self.consuming else None

    # -- a request's way

    def _delivered(self, delivery: Delivery) -> None:
        """Take a request that any worker could have."""
        request = Request(delivery, self._clock.seconds())
        if (self._was_cut_off or self._survived) and not delivery.redelivered:
            self._was_cut_off = False
            self._survived.clear()
        if self._stopping:
            self._give_back(request)
        elif delivery.redelivered and self._limit is not None and request.problem is None:
            self._delivered_again(request, self._limit)
        elif request.headers and DELIVERIES in request.headers:
            self._refusing.start_put_back(request)
        elif self._places.free or len(delivery.body) > self._service.max_message_size:
            self.start(request)
        else:
            self._places.held.append(request)  # another queue's have them, or early acks have outrun the prefetch

    def place(self, request: Request) -> None:
        """Start a request, or let it wait for a place."""
        if self._places.free:
            self.start(request)
        else:
            self._places.held.append(request)

    def _delivered_again(self, request: Request, limit: int) -> None:
        """Take a request that a worker had and did not finish. If it was this one, it knows how far it got, or at least
        that it did not end it.
        """
        identity = request.identity
        survived = identity in self._survived
        self._survived.discard(identity)
        if self._recent is not None and self._recent.knows(identity, self._clock.seconds()):
            self.start(request)
        elif survived or self._was_cut_off:
            self.place(request)
        else:
            self._refusing.put_elsewhere(request, limit)

    def _delivered_own(self, delivery: Delivery) -> None:
        """Take a request to this worker alone, or what calls others off."""
        request = Request(delivery, self._clock.seconds())
        request.direct = True
        places = self._places
        cancelled = request.cancels
        if cancelled is not None:
            self._progress.cancel_calls(cancelled)
            self._ack(delivery)
        elif delivery.routing.endswith(NESTED_KEY_ENDS):
            if places.free_for_nested:
                self.start(request)
            elif len(places.held_nested) < MOST_HELD:
                places.held_nested.append(request)
            else:
                self._refusing.refuse_unread(request, OVERLOADED)
        elif self._stopping:
            self._refusing.refuse_unread(request, STOPPING)
        elif places.free or len(delivery.body) > self._service.max_message_size:
            self.start(request)
        elif len(places.held) < (self._service.backlog or MOST_HELD):
            places.held.append(request)
        else:
            self._refusing.refuse_unread(request, OVERLOADED)

    def _start_held(self, request: Request) -> None:
        if request.deadline is not None and request.deadline <= self._clock.seconds():
            self._ack(request.delivery)  # nobody waits for it any more
        else:
            self.start(request)

    @context.enters_context
    def start(self, request: Request) -> None:
        """Run a request, unless it cannot be read, was run before, or is not wanted any more."""
        if self._ack_first:
            self.settle(request)
        if self._progress.cancelled and self._progress.is_cancelled(request):
            self.settle(request)
            return
        try:
            method, arguments = request.read(self._service.name, self._methods, self._service.max_message_size)
        except Refused as refused:
            self._refusing.refuse(request, refused)
            return
        if self._recent is not None and not self._is_first(request, self._recent):
            return
        self._places.running += 1
        request.serve(self._service.name, method, self._places.wait)
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
                self._progress.begin(request, value)
                value.addCallbacks(
                    self._succeeded, self._failed, callbackArgs=(request, method), errbackArgs=(request, method)
                )
                value.addErrback(self._unanswered, request)
            else:
                self._succeeded(value, request, method)
        finally:
            context.serving.reset(token)

    def _is_first(self, request: Request, recent: RecentReplies[Request]) -> bool:
        """Whether a request is to be run. One that was run before is answered as it was then; one that is being run
        will be answered with that one.
        """
        request.key = request.identity
        if request.key is None:
            return True
        known = recent.begin(request.key, request, self._clock.seconds())
        if known is False:
            self._progress.prolong(recent.in_progress(request.key), request.deadline)
        if isinstance(known, Answered):
            self._answer_again(request, known.body)
        return known is True

    def _answer_again(self, request: Request, body: bytes | None) -> None:
        if body is not None and request.wants_reply:
            self.send(request, body)
        self.settle(request)

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
        if request.cancelled:
            self._finish(request, None)
            return
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
        if request.handling is not None:
            self._progress.end(request)
        if body is not None and not request.cancelled:
            self.send(request, body)
        if not request.settled:
            self._ack(request.delivery)
        if request.key is not None and self._recent is not None:
            ran = body is not None or not request.cancelled
            for joined in self._recent.end(request.key, body, self._clock.seconds(), keep=ran):
                self._answer_again(joined, body)
        places = self._places
        if places.waiting and request.context.waits:
            places.waiting -= 1
        request.context.answered = True
        places.leave()

    def settle(self, request: Request) -> None:
        """Ack a request, unless that was done before it was begun."""
        if not request.settled:
            request.settled = True
            self._ack(request.delivery)

    def send(self, request: Request, body: bytes, outcome: str | None = None) -> None:
        """Send a reply; what cannot be sent is logged."""
        channel = request.delivery.channel
        if channel.closed:
            # The request may be delivered again, or may not: its queue may be gone, or it was acked before.
            if self._channel is None:
                self._send_later(request, body, outcome)
                return
            channel = self._channel
        try:
            properties = request.reply_properties(self._clock.seconds(), outcome)
            channel.publish("", request.reply_to or "", properties, body, True)
        except Exception:  # whatever a peer has done to make it so, the request is to be acked
            log.err(None, f"{request.label}: the reply cannot be sent")

    def _send_later(self, request: Request, body: bytes, outcome: str | None) -> None:
        """Send a reply when there is a connection again: the caller's own may have lasted."""
        properties = request.reply_properties(self._clock.seconds(), outcome)
        sent = self._mover.move("", request.reply_to or "", properties, body)
        sent.addErrback(lambda failure: failure.trap(AMQPError))  # nobody is there any more

    def _returned(self, _: object) -> None:
        self.lost_replies += 1

    def _give_sign(self, request: Request) -> None:
        """Tell a caller that its call is being worked on."""
        properties = request.sign_of_life(self._link.instance)
        if self._channel is not None and properties is not None and request.reply_to is not None:
            try:
                self._channel.publish("", request.reply_to, properties, b"")
            except AMQPError:  # the name is too long, or the channel has just ended
                return

    def _unanswered(self, failure: Failure, request: Request) -> None:
        log.err(failure, f"{request.label}: while answering")

    def is_current(self, request: Request) -> bool:
        """Whether the channel that a request came by is still there."""
        channel = request.delivery.channel
        return channel is self._channel and not channel.client.closed

    def _ack(self, delivery: Delivery) -> None:
        if self._acks is not None and delivery.channel is self._channel:
            self._acks.ack(delivery.delivery_tag)

    def _give_back(self, request: Request) -> None:
        """Leave a request that was not begun to another worker. As a copy, if there is a limit to redeliveries: the
        broker would note that it was delivered before.
        """
        if self._limit is None or request.problem is not None:
            self.reject(request)
        else:
            self._refusing.give_back(request)

    def reject(self, request: Request) -> None:
        """Have the broker deliver a request again, to whoever consumes then."""
        if self._acks is not None and request.delivery.channel is self._channel:
            self._acks.reject(request.delivery.delivery_tag, requeue=True)

    # -- leaving

    def drain(self, within: float) -> Deferred[None]:
        """Take no more work, give back what has not begun, and finish what has, with all that it calls here.

        :param within: seconds; what is in progress then is given up.
        :return: fires when nothing is in progress, or at the bound, or when it is cancelled, with all acked that was
            settled. Never fails.
        """
        self._stopping = True
        while self._places.held:
            request = self._places.held.popleft()
            if request.direct:
                self._refusing.refuse_unread(request, STOPPING)
            else:
                self._give_back(request)
        drained: Deferred[Any] = succeed(None)
        if self._channel is not None:
            for tag in self._shared_consumers:
                drained.addCallback(_then_cancel, self._channel, tag)
            drained.addErrback(lambda failure: failure.trap(AMQPError))
        drained.addCallback(lambda _: self._places.when_idle())
        drained.addTimeout(within, self._clock)
        drained.addErrback(lambda failure: failure.trap(DrainTimeout, CancelledError))
        return drained.addCallback(lambda _: self._end_drain())

    def _end_drain(self) -> None:
        self._progress.stop()
        if self._acks is not None:
            self._acks.flush()

    def resume(self) -> None:
        """Take work again after :meth:`drain`, from the next channel on."""
        self._stopping = False


def _nobody_asked() -> None:
    """What is called when a service is consumed, unless somebody wants to know."""


def _internal_error(message: str = "Internal error") -> TApplicationException:
    """What a caller is told of an error that is not in the IDL: its message may hold what is none of his business."""
    return TApplicationException(TApplicationException.INTERNAL_ERROR, message)


def _then_cancel(_: object, channel: Channel, consumer_tag: str) -> Deferred[None]:
    return channel.cancel_consumer(consumer_tag)
