"""Requests that no handler is to see, or not here, or not now: answered, put elsewhere, and settled."""

from __future__ import annotations

from typing import Any, Protocol

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import Deferred
from twisted.python import log
from twisted.python.failure import Failure

from rpc.amqp.codec.properties import encode_properties
from rpc.errors import CodecError
from rpc.headers import DELIVERIES
from rpc.interfaces import IClock
from rpc.topology import DEAD
from rpc.worker.limiter import Places
from rpc.worker.redelivery import Next, destination, unfinished_deliveries
from rpc.worker.republisher import Mover, NotMoved
from rpc.worker.request import Refused, Request
from rpc.worker.service import ThriftService

STOPPING = Refused(TApplicationException.INTERNAL_ERROR, "this worker is stopping", outcome="stopping")
OVERLOADED = Refused(TApplicationException.INTERNAL_ERROR, "too many wait for this worker", outcome="overloaded")

ACK_GONE = 0.05
"""Seconds in which an ack leaves, a few turns of the reactor."""

BURY_AGAIN = 1.0
"""Seconds."""


class RequestSettler(Protocol):
    """What is needed of whoever has the requests' channel."""

    def send(self, request: Request, body: bytes, outcome: str | None = None) -> None:
        """Send a reply."""

    def settle(self, request: Request) -> None:
        """Ack a request, unless that was done before it was begun."""

    def place(self, request: Request) -> None:
        """Run a request, when there is a place for it."""

    def reject(self, request: Request) -> None:
        """Have the broker deliver a request again."""

    def is_current(self, request: Request) -> bool:
        """Whether the channel that a request came by is still there."""


class Refusing:
    """Refuses requests of one service."""

    def __init__(
        self, service: ThriftService, settler: RequestSettler, places: Places, mover: Mover, clock: IClock
    ) -> None:
        self._service = service
        self._topology = service.topology()
        self._settler = settler
        self._places = places
        self._mover = mover
        self._clock = clock
        self._moving = 0
        self._moved_last = float("-inf")
        self._refused = 0  # since the log was last told
        self._told = float("-inf")

    def refuse(self, request: Request, refused: Refused) -> None:
        """Answer a request as far as it could be read, and put it to the dead letters if it belongs there."""
        self._tell(refused)
        if request.wants_reply:
            self._settler.send(request, request.reply(TMessageType.EXCEPTION, refused.answer), refused.outcome)
        if refused.poison:
            self._bury(request, str(refused))
        else:
            self._settler.settle(request)

    def refuse_unread(self, request: Request, refused: Refused) -> None:
        """Refuse a request for a reason that is not in it."""
        request.peek()
        self.refuse(request, refused)

    def _tell(self, refused: Refused) -> None:
        """Log a refusal; a peer that is refused a thousand times a second gets one line a second."""
        self._refused += 1
        now = self._clock.seconds()
        if now - self._told >= 1:
            log.msg(f"{self._service.name}: refused {self._refused} requests; the last one: {refused}")
            self._refused, self._told = 0, now

    # -- elsewhere

    def start_put_back(self, request: Request) -> None:
        """Run a request that was put back, when this worker has none of its own on the way there.

        It may be one of these. If it ends this worker before the ack of the one it is a copy of has gone out, both are
        there, and it becomes more and more.
        """
        if self._moving == 0 and self._clock.seconds() >= self._moved_last + ACK_GONE:
            self._settler.place(request)
        else:
            self._places.running += 1
            self._clock.callLater(ACK_GONE, self._start_put_back_later, request)

    def _start_put_back_later(self, request: Request) -> None:
        self._places.leave()
        if self._settler.is_current(request):
            self.start_put_back(request)

    def put_elsewhere(self, request: Request, limit: int) -> None:
        """Take a request that a worker had and did not finish.

        :param limit: how many may have had it.
        """
        deliveries = unfinished_deliveries(request.headers, redelivered=True)
        where = destination(deliveries, limit)
        if where is not Next.DEAD:
            try:
                self._put(request, where, {DELIVERIES: deliveries})
            except CodecError:  # with one more, headers that filled a frame fill more than one
                where = Next.DEAD
        if where is Next.DEAD:
            reason = f"delivered {deliveries} times to workers that did not finish it"
            self.refuse_unread(request, Refused(TApplicationException.INTERNAL_ERROR, reason, poison=True))

    def give_back(self, request: Request) -> None:
        """Put a request back that was not begun, as it came."""
        try:
            self._put(request, Next.QUEUE, {})
        except CodecError:  # its properties fit when it came, but for the time that is left
            self._settler.reject(request)

    def _put(self, request: Request, where: Next, headers: dict[str, int]) -> None:
        """Publish a copy of a request to one of the service's queues, and settle it when the broker has that."""
        queue = self._topology.queue if where is Next.QUEUE else self._topology.quarantine_queue
        moved = self._move(request, "", queue, encode_properties(request.moved(headers, self._clock.seconds())))
        moved.addErrback(self._not_put, request, where, headers)

    def _not_put(self, failure: Failure, request: Request, where: Next, headers: dict[str, int]) -> None:
        """Where there is no room in the one queue there may be in the other, and if not, it is run after all."""
        failure.trap(NotMoved)
        if not self._settler.is_current(request):
            return  # it will come again
        if not _refused(failure):
            self._put(request, where, headers)
        elif not headers:
            self._settler.reject(request)
        elif where is Next.QUEUE:
            self._put(request, Next.QUARANTINE, headers)
        else:
            self._settler.place(request)

    def _bury(self, request: Request, reason: str) -> None:
        """Publish a request to the dead letters, as it came, with the reason."""
        try:
            moved = self._move(request, DEAD, self._service.name, encode_properties(request.dead_letter(reason)))
        except CodecError:  # with the reason, headers that filled a frame fill more than one
            bare = encode_properties(request.dead_letter(reason, with_headers=False))
            moved = self._move(request, DEAD, self._service.name, bare)
        moved.addErrback(self._not_buried, request, reason)

    def _move(self, request: Request, exchange: str, routing_key: str, properties: bytes) -> Deferred[None]:
        """Publish a request elsewhere, and settle it when the broker has it there. It takes a place meanwhile."""
        moving = self._mover.move(exchange, routing_key, properties, request.delivery.body)
        self._places.running += 1
        self._moving += 1

        def leave(result: Any) -> Any:
            self._moving -= 1
            self._moved_last = self._clock.seconds()
            self._places.leave()
            return result

        return moving.addCallback(lambda _: self._settler.settle(request)).addBoth(leave)

    def _not_buried(self, failure: Failure, request: Request, reason: str) -> None:
        """Try again after a while. On a lost channel it will come again."""
        if self._settler.is_current(request):
            log.msg(f"{self._service.name}: a request did not get to the dead letters: {failure.getErrorMessage()}")
            self._clock.callLater(BURY_AGAIN, self._bury_again, request, reason)

    def _bury_again(self, request: Request, reason: str) -> None:
        """The queue of dead letters may have been deleted, which nobody is told of: declare it, and bury."""
        if self._settler.is_current(request):
            declared = self._mover.declare(self._topology.shared())
            declared.addBoth(lambda _: self._bury(request, reason) if self._settler.is_current(request) else None)


def _refused(failure: Failure) -> bool:
    return isinstance(failure.value, NotMoved) and failure.value.refused
