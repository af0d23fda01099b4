"""Carries out rejections: the caller is answered, and a request that no worker can run becomes a dead letter."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from thrift.Thrift import TMessageType
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from rpc.errors import AMQPError, CodecError
from rpc.interfaces import IClock, IDeliveryChannel
from rpc.log_limit import LogLimit
from rpc.topology import DEAD, DeadLetterKind
from rpc.worker.dead_letter import DeadLetter
from rpc.worker.limiter import ConcurrencyLimiter
from rpc.worker.rejection import Rejection
from rpc.worker.republisher import Republisher
from rpc.worker.request import Request
from rpc.worker.service import ThriftService

RETRY_SECONDS = 1.0
"""Pause before a dead letter that the broker did not take is published again."""


class Rejector:
    """Rejects requests of one service."""

    def __init__(
        self,
        service: ThriftService,
        channel: IDeliveryChannel,
        republisher: Republisher,
        limiter: ConcurrencyLimiter,
        clock: IClock,
        on_rejected: Callable[[Request, Rejection, bool], None],
        rejections: LogLimit,
        unpublished: LogLimit,
        keeps_dead_letters: bool = True,
    ) -> None:
        """
        :param on_rejected: called with a request, its rejection, and whether it becomes a dead letter.
        :param rejections: writes the rejections to the log.
        :param unpublished: writes the dead letters that the broker has not taken to the log.
        :param keeps_dead_letters: ``False``: requests that would become dead letters are dropped.
        """
        self._keeps_dead_letters = keeps_dead_letters
        self._service = service
        topology = service.topology()
        self._destinations = {
            kind: (topology.key_of_kind(kind), topology.dead_letters(kind)) for kind in DeadLetterKind
        }
        self._channel = channel
        self._republisher = republisher
        self._limiter = limiter
        self._clock = clock
        self._retries: dict[Request, IDelayedCall] = {}
        self._stopped = False
        self._rejections = rejections
        self._unpublished = unpublished
        self._on_rejected = on_rejected

    def reject(self, request: Request, rejection: Rejection) -> None:
        """Answer a request as far as it could be read, then ack it or make it a dead letter.

        A request whose caller cannot be told (such as a oneway request) always becomes a dead letter: its publisher
        has the broker's confirm, and must not lose it.
        """
        self._rejections.note(lambda: f"{self._service.name}: rejected a request: {rejection}")
        if request.wants_reply:
            body = request.reply(TMessageType.EXCEPTION, rejection.answer)
            self._channel.send(request, body, self._clock.seconds(), rejection.outcome)
        small = request.delivery.size <= self._service.max_message_size
        is_dead_letter = ((rejection.poison and small) or not request.wants_reply) and self._keeps_dead_letters
        self._on_rejected(request, rejection, is_dead_letter)
        if is_dead_letter:
            request.republish()
            self._limiter.republish(1)
            self._dead_letter(DeadLetter.of(request, rejection))
        else:
            self._channel.ack(request)
            request.settle()

    def reject_unread(self, request: Request, rejection: Rejection) -> None:
        """Reject a request for a reason outside its content. Its arguments are not read: decoding them may crash."""
        request.peek(self._service.name)
        self.reject(request, rejection.naming(request.label))

    def stop(self) -> None:
        """Retry no more: unacked requests are delivered again."""
        self._stopped = True
        retries, self._retries = self._retries, {}
        for request, retry in retries.items():
            retry.cancel()
            self._end(request)

    def resume(self) -> None:
        """Retry again."""
        self._stopped = False

    def _dead_letter(self, letter: DeadLetter) -> None:
        """Publish a letter to the queue of its kind."""
        keeps_caller = self._service.knows_callers and self._republisher.takes_user_id
        try:
            published = self._publish(letter, letter.properties(keeps_caller))
        except CodecError:  # the headers fill a frame, and the reason does not fit beside them
            published = self._publish(letter, letter.properties(keeps_caller, with_headers=False))
        published.addCallbacks(self._published, self._not_published, (letter.request,), errbackArgs=(letter,))

    def _publish(self, letter: DeadLetter, properties: bytes) -> Deferred[None]:
        key, declarations = self._destinations[letter.kind]
        wanted = partial(self._is_wanted, letter.request)
        return self._republisher.publish(DEAD, key, properties, letter.body, declarations, wanted)

    def _published(self, _: object, request: Request) -> None:
        self._channel.ack(request)
        request.settle()
        self._limiter.republish(-1)

    def _not_published(self, failure: Failure, letter: DeadLetter) -> None:
        """Try again after a pause. On a lost channel the request will be delivered again, unless it was acked."""
        failure.trap(AMQPError)
        request = letter.request
        if self._stopped or not self._is_wanted(request):
            self._end(request)
            return
        problem = failure.getErrorMessage()
        self._unpublished.note(lambda: f"{self._service.name}: a dead letter was not published: {problem}")
        self._retries[request] = self._clock.callLater(RETRY_SECONDS, self._retry, letter)

    def _retry(self, letter: DeadLetter) -> None:
        request = letter.request
        del self._retries[request]
        if self._is_wanted(request):
            self._dead_letter(letter)
        else:
            self._end(request)

    def _is_wanted(self, request: Request) -> bool:
        """Whether a dead letter is needed: the broker does not deliver `request` again."""
        return request.acked or self._channel.is_current(request)

    def _end(self, request: Request) -> None:
        request.lose()
        self._limiter.republish(-1)
