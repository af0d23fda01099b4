"""Consumes the queues of one service on the worker's channel."""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from rpc import log
from rpc.amqp.answer_limit import ANSWER_LIMIT, AnswerLimit
from rpc.amqp.channel import Channel
from rpc.amqp.content import Delivery
from rpc.errors import AMQPError, DeclarationRefused
from rpc.interfaces import IDeliveryChannel
from rpc.link import Link
from rpc.topology import Declaration, sentinel
from rpc.worker.declarer import Declarer
from rpc.worker.notices import QUARANTINE_TYPE, message_type
from rpc.worker.refused_queues import explanation
from rpc.worker.republisher import Republisher
from rpc.worker.service import QUARANTINED_AT_ONCE, ThriftService


class ConsumerState(enum.Enum):
    """The state of a consumer."""

    NO_CHANNEL = "waits for the worker's channel"
    DECLARING = "declares the request queue and its bindings"
    SUBSCRIBING = "waits for the broker's answer to basic.consume of the request queue"
    CONSUMING = "consumes the request queue"
    STOPPED = "consumes nothing any more"


DECLARES = {ConsumerState.DECLARING, ConsumerState.SUBSCRIBING, ConsumerState.CONSUMING}
"""The states in which the queues of a service are declared, or are to be."""


class Consumer:
    """The queues of one service.

    :ivar state: see :class:`ConsumerState`.
    :ivar exchange: the exchange to which the service's queues are bound.
    """

    def __init__(
        self,
        service: ThriftService,
        link: Link,
        republisher: Republisher,
        deliver: Callable[[Delivery], None],
        deliver_quarantined: Callable[[Delivery], None],
        acks: IDeliveryChannel,
        on_consuming: Callable[[], None],
        nested: bool,
    ) -> None:
        """
        :param deliver: takes each delivery of the request queue; `deliver_quarantined` those of the quarantine.
        :param on_consuming: called whenever the request queue is consumed.
        :param nested: whether handlers of this worker may call the service.
        """
        self._name = service.name
        self._topology = service.topology()
        self.exchange = self._topology.exchange
        self._concurrency = service.concurrency
        self._link = link
        self._republisher = republisher
        self._deliver = deliver
        self._deliver_quarantined = deliver_quarantined
        self._acks = acks
        self._on_consuming = on_consuming
        self._nested = nested
        self._channel: Channel | None = None
        self._own_queue = ""
        self._tags: dict[str, str] = {}  # by queue
        self._consumes_quarantine = False
        self._is_bound = False
        self._asks_for_quarantine = False
        self._explained = ""
        self._requests = Declarer(link, self._declarations, self._consume, self._explain)
        self._quarantine = Declarer(link, self._topology.quarantine, self._consume_declared_quarantine, self._explain)
        self.state = ConsumerState.NO_CHANNEL

    def _declarations(self) -> list[Declaration]:
        """The sentinel is bound before all that it stands for."""
        watched = sentinel(self._own_queue, self._topology.exchange)
        return [watched, *self._topology.requests(), *self._own_bindings(self._nested)]

    @property
    def is_bound(self) -> bool:
        """Whether the queues of the service have been declared and bound, on the present channel."""
        return self._is_bound

    def _own_bindings(self, nested: bool) -> list[Declaration]:
        return self._topology.instance_bindings(self._link.instance, self._own_queue, nested=nested)

    def begin(self, channel: Channel, own_queue: str) -> None:
        """Consume on `channel`, when the queues are declared.

        :param own_queue: the worker's own queue.
        """
        self._channel, self._own_queue = channel, own_queue
        if self.state is ConsumerState.NO_CHANNEL:
            self.state = ConsumerState.DECLARING
            self._requests.start()

    def restore(self) -> None:
        """Declare and bind again: bindings were deleted at the broker. Requests are consumed meanwhile.

        A pending declaration goes on, which logs each reason of a failure once.
        """
        if self.state in DECLARES:
            self._requests.start()

    def lost(self) -> None:
        """The worker's channel is gone."""
        self._channel = None
        self._tags.clear()
        self._consumes_quarantine = self._is_bound = False
        self._requests.stop()
        self._quarantine.stop()
        if self.state is not ConsumerState.STOPPED:
            self.state = ConsumerState.NO_CHANNEL

    def _consume(self) -> None:
        """Consume the request queue: it has been declared."""
        channel = self._channel
        self._explained = ""
        self._is_bound = channel is not None
        if channel is None or self.state is not ConsumerState.DECLARING:
            return
        self.state = ConsumerState.SUBSCRIBING
        consuming = self._consume_queue(
            channel, self._topology.queue, self._concurrency, self._deliver, self._cancelled
        )
        consuming.addCallbacks(self._begun, self._not_consumed, callbackArgs=(channel,))

    def _begun(self, _: object, channel: Channel) -> None:
        if self._channel is not channel or self.state is not ConsumerState.SUBSCRIBING:
            return
        self.state = ConsumerState.CONSUMING
        queue, name = self._topology.queue, self._topology.instance_key(self._link.instance)
        log.msg(f"serving {self._name} from {queue} as {name}", service=self._name, queue=queue, name=name)
        self._ask_for_quarantine()
        self._on_consuming()

    def _consume_queue(
        self,
        channel: Channel,
        queue: str,
        prefetch: int,
        take: Callable[[Delivery], None],
        cancelled: Callable[[], None],
    ) -> Deferred[None]:
        """Send ``basic.qos`` and ``basic.consume`` at once. The prefetch applies to consumers that begin after it on
        the channel (RabbitMQ documentation, "Consumer Prefetch"), and the broker takes methods in order.

        The answer comes from the queue, perhaps late. Then the log says so, and the channel stays: other services
        use it as well.
        """
        channel.basic_qos(prefetch_count=prefetch).addErrback(lambda failure: failure.trap(AMQPError))
        late = partial(self._consume_is_overdue, queue)
        limit = AnswerLimit(channel.client.clock, channel.client, late, lambda _: None)

        def settled(result: Any) -> Any:
            limit.cancel()
            return result

        return channel.consume(queue, take, cancelled).addBoth(settled).addCallback(self._consumed, channel, queue)

    def _consume_is_overdue(self, queue: str) -> None:
        log.warn(
            f"{self._name}: the broker has not answered basic.consume of {queue} for {ANSWER_LIMIT:g} s; the worker "
            "still waits"
        )

    def _consumed(self, tag: str, channel: Channel, queue: str) -> None:
        """Note the consumer. One that begins after :meth:`stop` is cancelled: its deliveries would be requeued."""
        if self._channel is not channel:
            return
        if self.state is ConsumerState.STOPPED:
            channel.cancel_consumer(tag).addErrback(lambda failure: failure.trap(AMQPError))
        else:
            self._tags[queue] = tag

    def _cancelled(self) -> None:
        """The queue was deleted, or its node is gone: declare it again."""
        log.warn(f"{self._name}: the queue {self._topology.queue} was deleted, or its node is gone")
        self._tags.pop(self._topology.queue, None)
        if self.state in (ConsumerState.SUBSCRIBING, ConsumerState.CONSUMING):
            self.state = ConsumerState.DECLARING
            self._requests.start()

    def _not_consumed(self, failure: Failure) -> None:
        """The broker closes the channel: the queue was deleted after it was declared. The next channel begins anew."""
        failure.trap(AMQPError)

    def _explain(self, error: Exception) -> None:
        """Log the remedy of a refusal once: an operator may take hours, and an attempt follows every few seconds."""
        if isinstance(error, DeclarationRefused):
            explained = explanation(self._topology, error)
            if explained != self._explained:
                self._explained = explained
                log.warn(explained)

    # -- quarantine

    def consume_quarantine(self) -> None:
        """Declare and consume the quarantine queue. A second call does nothing."""
        if self.state is ConsumerState.CONSUMING and not self._consumes_quarantine:
            self._quarantine.start()

    def _ask_for_quarantine(self) -> None:
        """Find out whether the quarantine exists, and consume it then. Nothing while an answer is pending."""
        if not self._asks_for_quarantine:
            self._asks_for_quarantine = True
            asked = self._republisher.exists(self._topology.quarantine_queue)
            asked.addCallbacks(self._found_quarantine, self._not_known)

    def _found_quarantine(self, exists: bool) -> None:
        self._asks_for_quarantine = False
        if exists:
            self.consume_quarantine()

    def _not_known(self, failure: Failure) -> None:
        """The republisher's channel was lost. If the worker's own channel is open, ask again."""
        failure.trap(AMQPError)
        self._asks_for_quarantine = False
        if self.state is ConsumerState.CONSUMING:
            self._ask_for_quarantine()

    def _consume_declared_quarantine(self) -> None:
        channel, queue = self._channel, self._topology.quarantine_queue
        if channel is None or self.state is not ConsumerState.CONSUMING or self._consumes_quarantine:
            return
        self._consumes_quarantine = True
        consuming = self._consume_queue(
            channel, queue, QUARANTINED_AT_ONCE, self._take_quarantined, self._quarantine_cancelled
        )
        consuming.addErrback(self._not_consumed)

    def _take_quarantined(self, delivery: Delivery) -> None:
        if not delivery.body and message_type(delivery) == QUARANTINE_TYPE:  # it asked whether the queue exists
            self._acks.ack_delivery(delivery)
        else:
            self._deliver_quarantined(delivery)

    def _quarantine_cancelled(self) -> None:
        """The queue was deleted, or its node is gone, perhaps with requests in it: declare it again."""
        self._tags.pop(self._topology.quarantine_queue, None)
        self._consumes_quarantine = False
        self.consume_quarantine()

    # -- leaving

    def stop(self) -> Deferred[None]:
        """Stop consuming. Fires when the broker sends no more deliveries, or the channel is lost; never fails."""
        self.state = ConsumerState.STOPPED
        self._requests.stop()
        self._quarantine.stop()
        tags, self._tags = self._tags, {}
        stopped: Deferred[None] = succeed(None)
        if self._channel is not None:
            for tag in tags.values():
                stopped.addCallback(_then_cancel, self._channel, tag)
        return stopped.addErrback(lambda failure: failure.trap(AMQPError, CancelledError)).addCallback(lambda _: None)

    def leave(self, channel: Channel) -> list[Deferred[Any]]:
        """Unbind the worker's own queue, on `channel`: the broker returns later requests for this worker alone.

        The binding for nested calls stays. Otherwise handlers that run until the drain timeout would fail, and their
        requests would be acked.

        :return: they fire when the broker routes no more requests to the queue; they fail with
            :class:`~rpc.errors.AMQPError` when the channel is lost.
        """
        bindings = self._own_bindings(nested=False) if self._is_bound else []
        self._is_bound = False
        return [channel.queue_unbind(**each.arguments) for each in bindings]

    def resume(self) -> None:
        """Consume again, from the next channel on."""
        self.state = ConsumerState.NO_CHANNEL


def _then_cancel(_: object, channel: Channel, consumer_tag: str) -> Deferred[None]:
    return channel.cancel_consumer(consumer_tag)
