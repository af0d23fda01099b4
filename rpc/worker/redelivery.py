"""Replaces requests by copies: with a count of their begins, or uncounted when this worker stops, or when the broker
would soon drop the request.

The original is acked when the broker has confirmed the copy. The copy may come to this worker before the broker has
taken that ack. If the copy ran then and ended the process, the broker would deliver both, and the request would
multiply. So a copy waits until the broker has answered a method that was sent after the ack (the fence).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import partial

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.confirmed import NotPublished, NotPublishedCause
from rpc.errors import AMQPError, CodecError
from rpc.headers import DELIVERIES, QUARANTINE, RENEWALS, whole
from rpc.interfaces import IClock, IDeliveryChannel
from rpc.log_limit import LogLimit
from rpc.messages import Properties
from rpc.topology import BROADCAST
from rpc.worker.begins import Destination, possible_begins
from rpc.worker.limiter import ConcurrencyLimiter
from rpc.worker.outgoing import copy_properties
from rpc.worker.rejection import over_the_limit
from rpc.worker.rejector import RETRY_SECONDS, Rejector
from rpc.worker.republisher import Republisher
from rpc.worker.request import Request, Source
from rpc.worker.sender import without_sender
from rpc.worker.service import ThriftService

MOST_REMEMBERED = 10_000
"""Messages whose copies were published. One comes again only if its channel was lost before the broker took its ack."""

ANNOUNCE_SECONDS = 1.0
"""Pause between two announcements of the quarantine queue."""

_announcement = encode_properties(Properties(type=QUARANTINE))


@attrs.frozen(eq=False)
class _Copy:
    """A copy that is being published.

    :ivar requeues: whether the request may go back to its queue instead. The broker counts that as a delivery.
    :ivar replaced: fires when the original is surely acked, or its channel is lost.
    """

    request: Request
    destination: Destination
    properties: bytes
    requeues: bool
    replaced: Deferred[None] = attrs.field(factory=Deferred)


class Redelivery:
    """Republishes requests of one service."""

    def __init__(
        self,
        service: ThriftService,
        channel: IDeliveryChannel,
        republisher: Republisher,
        limiter: ConcurrencyLimiter,
        rejector: Rejector,
        clock: IClock,
        on_quarantined: Callable[[], None],
        unpublished: LogLimit,
    ) -> None:
        """
        :param on_quarantined: called when a request is in quarantine, so the queue exists.
        :param unpublished: writes the copies that the broker has not taken to the log.
        """
        self._name = service.name
        self._knows_callers = service.knows_callers
        self._topology = service.topology()
        self._channel = channel
        self._republisher = republisher
        self._limiter = limiter
        self._rejector = rejector
        self._clock = clock
        self._on_quarantined = on_quarantined
        self._unpublished = unpublished
        self._replacing: dict[Hashable, list[Deferred[None]]] = {}
        self._replaced: OrderedDict[Hashable, None] = OrderedDict()
        self._retries: dict[_Copy, IDelayedCall] = {}
        self._announced_at = float("-inf")

    # -- facts

    def was_republished(self, request: Request) -> bool:
        """Whether a copy of exactly this message was published here."""
        return bool(self._replaced) and request.message_key in self._replaced

    def is_republishing(self, identity: Hashable) -> bool:
        """Whether a message of this call is being replaced by a copy."""
        return identity in self._replacing

    def when_republished(self, identity: Hashable) -> Deferred[None]:
        """Fires when the message of this call that is being replaced is surely acked, or its channel is lost."""
        done: Deferred[None] = Deferred()
        self._replacing[identity][-1].addCallback(lambda _: done.callback(None))
        return done

    # -- doing

    def count(self, request: Request, destination: Destination) -> None:
        """Publish a copy whose header counts how often the request may have begun, and ack the request."""
        self._republish(request, destination, {DELIVERIES: possible_begins(request.headers, redelivered=True)})

    def renew(self, request: Request) -> None:
        """Publish a copy, of which the broker has counted no delivery, and ack the request.

        Its header says that it is a copy, so it waits until the request is acked. Each copy has a number: it must not
        be taken for the message that it replaced.
        """
        quarantined = request.source is Source.QUARANTINE
        headers = {DELIVERIES: whole(request.headers.get(DELIVERIES)) or 0, RENEWALS: _next_renewal(request)}
        self._republish(request, Destination.QUARANTINE if quarantined else Destination.QUEUE, headers)

    def _republish(self, request: Request, destination: Destination, headers: Mapping[str, int]) -> None:
        try:
            self._replace(_Copy(request, destination, self._copy(request, headers), requeues=False))
        except CodecError:  # the headers fill a frame, and the new ones do not fit beside them
            begins = possible_begins(request.headers, redelivered=True)
            self._rejector.reject_unread(request, over_the_limit(begins, request.counted))

    def give_back(self, request: Request) -> None:
        """Publish an uncounted copy for another worker, and ack the request, which has not begun.

        The broker would mark a requeued request as redelivered, and its next worker would count it. The copy has a
        number, as in :meth:`renew`: it may come back to this worker.
        """
        try:
            number = {RENEWALS: _next_renewal(request)}
            self._replace(_Copy(request, Destination.QUEUE, self._copy(request, number), requeues=True))
        except CodecError:  # its properties fill more than a frame
            self._channel.requeue(request)

    def _copy(self, request: Request, headers: Mapping[str, int]) -> bytes:
        """Return the properties of a copy. Raises ``CodecError`` when they do not fit into a frame."""
        return copy_properties(request, headers, self._clock.seconds(), self._knows_callers)

    def stop(self) -> None:
        """Retry no more: unacked requests are delivered again."""
        retries, self._retries = self._retries, {}
        for copy, retry in retries.items():
            retry.cancel()
            self._lose(copy)

    def _replace(self, copy: _Copy) -> None:
        published = self._publish(copy)
        copy.request.republish()
        self._limiter.republish(1)
        self._replacing.setdefault(copy.request.identity, []).append(copy.replaced)
        self._follow(copy, published)

    def _publish(self, copy: _Copy) -> Deferred[None]:
        """Publish a copy. Raises ``CodecError`` when its properties do not fit into a frame."""
        quarantined = copy.destination is Destination.QUARANTINE
        queue = self._topology.quarantine_queue if quarantined else self._topology.queue
        declarations = self._topology.quarantine() if quarantined else self._topology.requests()
        body, wanted = copy.request.delivery.body, partial(self._channel.is_current, copy.request)
        properties = copy.properties
        if self._knows_callers and not self._republisher.takes_user_id:  # asked again for each publish of a copy
            properties = without_sender(properties)
        return self._republisher.publish("", queue, properties, body, declarations, wanted)

    def _follow(self, copy: _Copy, published: Deferred[None]) -> None:
        published.addCallbacks(lambda _: self._published(copy), self._not_published, errbackArgs=(copy,))

    def _published(self, copy: _Copy) -> None:
        """Ack the original, and release the copies that wait for that."""
        request = copy.request
        if request.identity is not None:  # without a message id, another request may be equal, and would be lost
            self._replaced[request.message_key] = None
            if len(self._replaced) > MOST_REMEMBERED:
                self._replaced.popitem(last=False)
        if copy.destination is Destination.QUARANTINE:
            self._announce_quarantine()
        self._channel.ack(request)
        request.settle()
        self._channel.fence().addBoth(lambda _: self._end(copy))

    def _announce_quarantine(self) -> None:
        """Tell every worker of the service that the quarantine queue exists, at most once a second."""
        self._on_quarantined()
        now = self._clock.seconds()
        if now - self._announced_at >= ANNOUNCE_SECONDS:
            self._announced_at = now
            told = self._republisher.publish(BROADCAST, self._name, _announcement, b"")
            told.addErrback(lambda failure: failure.trap(AMQPError))  # a worker that connects asks for it

    def _not_published(self, failure: Failure, copy: _Copy) -> None:
        """Requeue a request whose queue is full, if it may be requeued. Publish others to quarantine, which has no
        bound, or after a pause.
        """
        failure.trap(AMQPError)
        error = failure.value
        if not self._channel.is_current(copy.request):
            self._lose(copy)
            return
        if isinstance(error, CodecError):  # while it waited for a channel, the size of a frame was not known
            self._does_not_fit(copy)
            return
        cause = error.cause if isinstance(error, NotPublished) else None
        if cause is NotPublishedCause.NACKED and copy.requeues:
            self._channel.requeue(copy.request)
            self._end(copy)
        elif cause is NotPublishedCause.NACKED and copy.destination is Destination.QUEUE:
            quarantined = attrs.evolve(copy, destination=Destination.QUARANTINE)
            self._follow(quarantined, self._publish(quarantined))
        else:
            problem = failure.getErrorMessage()
            self._unpublished.note(lambda: f"{self._name}: a request was not republished: {problem}")
            self._retries[copy] = self._clock.callLater(RETRY_SECONDS, self._retry, copy)

    def _does_not_fit(self, copy: _Copy) -> None:
        """Treat a request whose copy is larger than a frame as :meth:`_republish` and :meth:`give_back` do."""
        if copy.requeues:
            self._channel.requeue(copy.request)
        else:
            begins = possible_begins(copy.request.headers, redelivered=True)
            self._rejector.reject_unread(copy.request, over_the_limit(begins, copy.request.counted))
        self._end(copy)

    def _retry(self, copy: _Copy) -> None:
        del self._retries[copy]
        if self._channel.is_current(copy.request):
            self._follow(copy, self._publish(copy))
        else:
            self._lose(copy)

    def _lose(self, copy: _Copy) -> None:
        copy.request.lose()
        self._end(copy)

    def _end(self, copy: _Copy) -> None:
        identity = copy.request.identity
        same = self._replacing[identity]
        same.remove(copy.replaced)
        if not same:
            del self._replacing[identity]
        copy.replaced.callback(None)  # first: this may republish a copy, and a drain waits for it
        self._limiter.republish(-1)


def _next_renewal(request: Request) -> int:
    return (whole(request.headers.get(RENEWALS)) or 0) + 1
