"""The worker's channel: every service is consumed on it, replies go out by it, and acks are gathered over it.

One channel for all services lets one ack cover deliveries of many (AMQP 0-9-1, section 1.8.3.13: *multiple*). With a
channel for each service, 300 services in a worker cost the broker 2.5 times as much a call as one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from thrift.Thrift import TMessageType
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc import log
from rpc.amqp.acks import AckCollector
from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import HEADERS
from rpc.amqp.content import Delivery
from rpc.amqp.pipelining import all_answered
from rpc.amqp.reasons import broker_limit
from rpc.errors import AMQPError, DeliveryTimedOut
from rpc.exchanges import declare_exchanges
from rpc.interfaces import IChannelUser, IClock, IDeliveryChannel
from rpc.link import Link
from rpc.signing import Kind, answer
from rpc.topology import EXCHANGES, REQUESTS, Declaration, exclusive_queue, sentinel
from rpc.worker.binding_watch import BindingWatch
from rpc.worker.notices import CANCEL_TYPE, QUARANTINE_TYPE, cancelled_ids, message_type
from rpc.worker.outgoing import keepalive_properties, reply_properties
from rpc.worker.rejection import reply_too_large
from rpc.worker.republisher import Republisher
from rpc.worker.request import Request, Source
from rpc.worker.served import Direct, Served

OWN_AT_ONCE = 20_000
"""Prefetch of the worker's own queue. Nested calls and cancellations must arrive, even when every slot is taken. So the
prefetch is larger than the number of requests that a service may hold.
"""

TIMED_OUT = (
    "a request was unacked for longer than RabbitMQ's delivery acknowledgement timeout, so the broker delivers the "
    "requests in progress again. Give the service consumer_timeout= in seconds, longer than its longest call; see "
    "docs/operations.md, section 'A call takes longer than the acknowledgement timeout'"
)


@implementer(IChannelUser, IDeliveryChannel)
class Server:
    """The channel of one worker.

    :ivar lost_replies: replies that no queue took: their callers were gone.
    :ivar largest_message: bytes of a body that the broker takes, as far as it is known.
    :ivar watch: notices that bindings were deleted at the broker.
    """

    def __init__(self, link: Link, republisher: Republisher, clock: IClock, on_open: Callable[[float], None]) -> None:
        """:param on_open: called with the heartbeat in seconds when a channel is open."""
        self._link = link
        self._republisher = republisher
        self._on_open = on_open
        self._served: list[Served] = []
        self._direct: list[Direct] = []
        self._routes: dict[bytes, tuple[Direct, Source]] = {}
        self._channel: Channel | None = None
        self._acks: AckCollector | None = None
        self._queues = 0
        self._queue = ""
        self._answers = True
        self._told_of_timeout = False
        self._has_replied = self._has_acked = False  # since the last check of bindings
        self.watch = BindingWatch(link, clock, self._watched, self._may_probe, self._restore)
        self.lost_replies = 0
        self.largest_message = float("inf")

    def add(self, served: Served) -> None:
        """Serve a service from the next channel on."""
        self._served.append(served)

    def add_direct(self, direct: Direct) -> None:
        """Serve a service without a request queue from the next channel on."""
        self._direct.append(direct)

    def consume_quarantine(self, name: str) -> None:
        """Consume the quarantine of a service: its queue exists now."""
        for served in self._served:
            if served.service.name == name:
                served.consumer.consume_quarantine()

    # -- the channel

    def opened(self, channel: Channel) -> Deferred[None]:
        """Declare and consume the worker's own queue, then begin with every service."""
        self._answers = True
        self._queues += 1  # the broker may not have noticed the loss of the last connection, with its queue
        queue = self._queue = f"rpc.worker.{self._link.instance}.{self._queues}"
        self._set_routes()
        self._channel, self._acks = channel, AckCollector(channel)
        channel.on_return = self._returned
        prepared: list[Deferred[Any]] = [declare_exchanges(channel.client, self._exchanges())]
        prepared.append(channel.declare(exclusive_queue(queue)))
        prepared.append(channel.basic_qos(prefetch_count=OWN_AT_ONCE))
        prepared.append(channel.consume(queue, self._delivered_own, self._own_queue_gone))
        begun = all_answered(prepared).addCallback(lambda _: self._bind_sentinels(channel))
        return begun.addCallback(lambda _: self._begin(channel, queue))

    def _exchanges(self) -> list[Declaration]:
        """The exchanges that services share. One of a service's own is declared by its consumer."""
        shared = any(served.consumer.exchange == REQUESTS for served in self._served)
        return [each for each in EXCHANGES if shared or each.arguments["exchange"] != REQUESTS]

    def _bind_sentinels(self, channel: Channel) -> Deferred[None]:
        """Bind the sentinels of the shared exchanges, and the services without a request queue."""
        names = [each.arguments["exchange"] for each in self._exchanges()]
        bindings = [*(sentinel(self._queue, name) for name in names), *self._direct_bindings()]
        return all_answered(map(channel.declare, bindings))

    def _direct_bindings(self) -> list[Declaration]:
        """The bindings of services without a request queue. A worker whose services have exchanges of their own may not
        read the shared one (docs/security.md), so there it is reached by ``rpc.broadcast`` alone.
        """
        names = [each.arguments["exchange"] for each in self._exchanges()]
        bindings = (each.bindings(self._link.instance, self._queue, names) for each in self._direct)
        return [*chain.from_iterable(bindings)]

    def _set_routes(self) -> None:
        """Note which service and source each routing key of the own queue stands for, as bytes of the wire."""
        for each in (*self._served, *self._direct):
            for route, source in each.routes(self._link.instance):
                self._routes[route] = each, source

    def _begin(self, channel: Channel, queue: str) -> None:
        if self._channel is not channel:
            return
        connection = self._link.connection
        self._on_open(0.0 if connection is None else connection.heartbeat)
        for served in self._served:
            served.consumer.begin(channel, queue)
        self.watch.start(queue)

    # -- bindings that are deleted at the broker

    def _watched(self) -> list[str]:
        """The exchanges whose sentinel is bound."""
        own = {served.consumer.exchange for served in self._served if served.consumer.is_bound}
        return sorted(own | {each.arguments["exchange"] for each in self._exchanges()})

    def _may_probe(self) -> bool:
        """Whether a probe does no harm. During an alarm, the first message that a connection publishes blocks it, and
        its acks as well. A worker that only runs oneway requests would no longer empty its queue. So no probe is
        published while requests run, or have been acked, and no reply was sent since the last check.
        """
        replied, self._has_replied = self._has_replied, False
        acked, self._has_acked = self._has_acked, False
        return replied or not (acked or any(served.dispatcher.limiter.running for served in self._served))

    def _restore(self) -> Deferred[None]:
        """Declare and bind everything again, as at the start."""
        channel = self._channel
        if channel is None:
            return succeed(None)
        restored = declare_exchanges(channel.client, self._exchanges())
        restored.addCallback(lambda _: self._bind_sentinels(channel))
        return restored.addCallback(lambda _: self._restore_services(channel))

    def _restore_services(self, channel: Channel) -> None:
        if self._channel is channel:
            for served in self._served:
                served.consumer.restore()

    def _own_queue_gone(self) -> None:
        if self._channel is not None:
            self._channel.abandon(AMQPError("the worker's own queue was deleted"))

    def lost(self, reason: Exception) -> None:
        """Requests that were not acked are delivered again. Calls in progress run to their end."""
        self._channel = self._acks = None
        self.watch.stop()
        limit = broker_limit(reason)
        if limit is not None:
            self.largest_message = limit
        if isinstance(reason, DeliveryTimedOut):
            self._explain_timeout()
        for served in self._served:
            served.consumer.lost()
            served.dispatcher.lost()
        for direct in self._direct:
            direct.dispatcher.lost()

    def _explain_timeout(self) -> None:
        """Log the remedy once: the channel is lost again and again while a long call runs."""
        if not self._told_of_timeout:
            self._told_of_timeout = True
            log.warn(TIMED_OUT)

    def blocked(self, reason: str | None) -> None:
        """Replies wait in the connection until the broker reads again."""

    def refused(self, error: Exception) -> None:
        """Nothing to do: replies wait for the next channel."""

    # -- deliveries of the own queue

    def _delivered_own(self, delivery: Delivery) -> None:
        found = self._routes.get(delivery.routing)
        if found is None:  # a probe of the watch on bindings, which is no work
            if delivery.channel is self._channel and self._acks is not None:
                self._acks.ack(delivery.delivery_tag)
            return
        direct, source = found
        kind = message_type(delivery)
        if kind == CANCEL_TYPE:
            self.ack_delivery(delivery)
            if direct.dispatcher.obeys(delivery):
                direct.dispatcher.cancel(cancelled_ids(delivery))
        elif kind == QUARANTINE_TYPE and not delivery.body:
            self.ack_delivery(delivery)
            if isinstance(direct, Served):
                direct.consumer.consume_quarantine()
        else:
            direct.dispatcher.deliver(delivery, source)

    # -- IDeliveryChannel, for the services

    def send(self, request: Request, body: bytes, now: float, rejection: str | None = None) -> None:
        """See :class:`~rpc.interfaces.IDeliveryChannel`. Without a channel it waits for the next connection."""
        if not self._answers:
            return
        self._has_replied = True
        if len(body) > self.largest_message:
            log.warn(f"{request.label}: a reply of {len(body)} bytes, over the broker's max_message_size")
            body = request.reply(TMessageType.EXCEPTION, reply_too_large(request.label))
        try:
            named = rejection is None and request.parts[HEADERS] is not None and request.liveness is not None
            properties = reply_properties(request, now, rejection, self._link.instance if named else None)
            if request.signed is not None:
                properties = answer(request.signed, Kind.REPLY, properties, body)
            if self._channel is None:
                self._send_later(request.reply_to or "", properties, body)
            else:
                self._channel.publish("", request.reply_to or "", properties, body, True)
        except Exception:  # a request with hostile properties is acked as well
            log.err(None, f"{request.label}: the reply cannot be sent")

    def _send_later(self, reply_to: str, properties: bytes, body: bytes) -> None:
        """Publish a reply by the republisher: the caller may still be connected."""
        sent = self._republisher.publish("", reply_to, properties, body)
        sent.addErrback(lambda failure: failure.trap(AMQPError))  # its caller is gone

    def send_keepalive(self, request: Request) -> None:
        """See :class:`~rpc.interfaces.IDeliveryChannel`."""
        properties = keepalive_properties(request, self._link.instance)
        if properties is not None and request.signed is not None:
            properties = answer(request.signed, Kind.KEEPALIVE, properties, b"")
        if self._channel is not None and properties is not None and request.reply_to is not None:
            try:
                self._channel.publish("", request.reply_to, properties, b"")
            except AMQPError:  # the name is too long, or the channel has just ended
                return

    def ack(self, request: Request) -> None:
        """See :class:`~rpc.interfaces.IDeliveryChannel`."""
        if request.take_ack():
            self.ack_delivery(request.delivery)

    def ack_delivery(self, delivery: Delivery) -> bool:
        """See :class:`~rpc.interfaces.IDeliveryChannel`."""
        if delivery.channel is not self._channel or self._acks is None:
            return False
        self._has_acked = True
        self._acks.ack(delivery.delivery_tag)
        return True

    def requeue(self, request: Request) -> None:
        """See :class:`~rpc.interfaces.IDeliveryChannel`."""
        request.settle()
        if self._acks is not None and request.delivery.channel is self._channel:
            self._acks.reject(request.delivery.delivery_tag, requeue=True)

    def is_current(self, request: Request) -> bool:
        """See :class:`~rpc.interfaces.IDeliveryChannel`."""
        channel = request.delivery.channel
        return channel is self._channel and self._acks is not None and not channel.client.closed

    def fence(self) -> Deferred[None]:
        """See :class:`~rpc.interfaces.IDeliveryChannel`. The broker takes the methods of a channel in order."""
        if self._channel is None or self._acks is None:
            return fail(AMQPError("the channel was lost"))
        self._acks.flush()
        return self._channel.basic_qos(prefetch_count=OWN_AT_ONCE).addCallback(lambda _: None)

    def _returned(self, _: object) -> None:
        self.lost_replies += 1

    # -- leaving

    def leave(self) -> Deferred[None]:
        """Unbind the worker's own queue, and take its last requests: the broker deletes it with the connection.

        The queue has sent its last delivery when it answers queue.declare. RabbitMQ's channel may send this answer
        before earlier deliveries. It sends the answer to a later method after them.

        :return: fires when the last request has been delivered, or the channel is gone. Never fails.
        """
        self.watch.stop()
        channel, queue = self._channel, self._queue
        if channel is None:
            return succeed(None)
        unbound = [channel.queue_unbind(**each.arguments) for each in self._direct_bindings()]
        for each in self._served:
            unbound += each.consumer.leave(channel)
        left: Deferred[Any] = all_answered(unbound)
        left.addCallback(lambda _: channel.queue_declare(queue=queue, passive=True))
        left.addCallback(lambda _: channel.basic_qos(prefetch_count=OWN_AT_ONCE))
        return left.addCallbacks(lambda _: None, _lost_meanwhile)

    def flush(self) -> None:
        """Send the acks that were given."""
        if self._acks is not None:
            self._acks.flush()

    def abandon(self) -> None:
        """Send no replies and acks until the next channel: other workers run the requests that are in progress here."""
        self.watch.stop()
        self.flush()
        self._answers = False
        self._acks = None


def _lost_meanwhile(failure: Failure) -> None:
    failure.trap(AMQPError, CancelledError)
