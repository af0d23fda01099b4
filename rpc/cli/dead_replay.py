"""Republishes dead letters to their service. Each is acked when the broker has confirmed its copy.

Letters are held on one connection and published on another. During an alarm RabbitMQ reads nothing from a connection
that publishes (its page "Memory and Disk Alarms"). It would not read the acks either, and the next replay would publish
the same letters again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.defer import TimeoutError as GivenUp
from twisted.python import log
from twisted.python.failure import Failure

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.confirmed import ConfirmedPublisher, NotPublished, NotPublishedCause
from rpc.cli.dead_letters import DeadLetters, Letter
from rpc.errors import AMQPError, CodecError
from rpc.headers import DEAD_REASON, DELIVERIES, LIVENESS, RENEWALS, ROUTING
from rpc.messages import Properties
from rpc.worker.begins import DELIVERY_COUNT

IN_FLIGHT: Final = 64
"""Letters that are published and not yet confirmed. The first is published alone, in case the broker is blocked."""

BYTES_IN_FLIGHT: Final = 8 * 1024 * 1024

DRAIN_SECONDS: Final = 5.0
"""How long a replay that failed waits for the confirms of the letters in flight."""

LEFT_OUT: Final = ROUTING | {DEAD_REASON, DELIVERIES, RENEWALS, LIVENESS, DELIVERY_COUNT, "x-acquired-count"}
"""Headers of the letter's earlier deliveries. Deliveries are counted anew, and no caller waits for a keepalive."""


def revived(properties: Properties) -> Properties:
    """Return the properties with which a letter is published again: without a reply queue and an expiration."""
    headers = {name: value for name, value in (properties.headers or {}).items() if name not in LEFT_OUT}
    return attrs.evolve(
        properties, headers=headers or None, delivery_mode=2, reply_to=None, expiration=None, user_id=None
    )


class Replay:
    """One replay, and its progress.

    :ivar replayed: how many letters the broker has confirmed in the service's queue.
    :ivar staying: the letters that stay dead, with the reason.
    :ivar removed: whether the queue of dead letters has taken the acks of the replayed ones.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._bytes_in_flight = 0
        self._unsent: deque[Letter] = deque()
        self._unanswered: dict[int, Letter] = {}
        self._returned = False
        self._ended: Deferred[None] | None = None
        self._dead: DeadLetters | None = None
        self._on_answer: Callable[[int], None]
        self._channel: Channel
        self._publisher: ConfirmedPublisher
        self.replayed = 0
        self.staying: list[tuple[Letter, str]] = []
        self.removed = False

    @property
    def unsent(self) -> int:
        """How many letters were not published."""
        return len(self._unsent) + (0 if self._dead is None else self._dead.unread)

    @property
    def unanswered(self) -> list[Letter]:
        """The letters that were published and not confirmed: they stay dead, and may also be in the service's queue."""
        return list(self._unanswered.values())

    async def run(
        self,
        reactor: Any,
        dead: DeadLetters,
        channel: Channel,
        batches: AsyncIterable[list[Letter]],
        answered: Callable[[int], None],
    ) -> None:
        """Replay letters. After a failure or a cancellation it waits some seconds for the letters in flight.

        :param channel: to publish on; in confirm mode, and the only channel of its connection.
        :param batches: the letters. The next batch is read when the last one is replayed.
        :param answered: called with 1 when the broker has confirmed or refused a letter.
        :raises AMQPError: a connection was lost, or the broker is blocked.
        :raises CancelledError: the replay was cancelled.
        """
        self._dead, self._channel, self._on_answer = dead, channel, answered
        self._publisher = ConfirmedPublisher(channel, self._queue_is_gone)
        channel.on_closed = self._fail
        channel.client.on_blocked = self._blocked
        dead.on_lost(self._fail)
        try:
            async for letters in batches:
                self._unsent.extend(letters)
                self._check_channel()
                self._publish()
                await self._all_answered()
            await dead.removed()
        except (CancelledError, AMQPError):
            await self._drain(reactor, dead)
            raise
        self.removed = True

    def _check_channel(self) -> None:
        """Fail if the broker takes nothing. It may have said so while letters were being read."""
        blocked = self._channel.client.blocked
        if blocked is not None:
            raise _takes_nothing(blocked)
        if self._channel.closed:
            raise self._channel.reason or AMQPError("the channel is closed")

    def _publish(self) -> None:
        while self._unsent and self._may_publish():
            letter = self._unsent[0]
            content = letter.content
            assert content is not None
            try:
                properties = encode_properties(revived(content.properties))
                published = self._publisher.publish("", self._queue, properties, content.body)
            except CodecError as error:
                self._stays(self._unsent.popleft(), f"it cannot be sent: {error}")
                continue
            self._unsent.popleft()
            self._unanswered[letter.number] = letter
            self._bytes_in_flight += letter.size
            published.addCallbacks(self._confirmed, self._not_published, (letter,), errbackArgs=(letter,))
            published.addErrback(_log)

    def _may_publish(self) -> bool:
        most = IN_FLIGHT if self.replayed or self.staying else 1
        return len(self._unanswered) < most and self._bytes_in_flight < BYTES_IN_FLIGHT

    def _confirmed(self, _: object, letter: Letter) -> None:
        if self._returned:
            self._stays_without_queue(letter)
        else:
            assert self._dead is not None
            self._dead.remove([letter])
            self.replayed += 1
            self._on_answer(1)
        self._answered(letter)

    def _not_published(self, failure: Failure, letter: Letter) -> None:
        error = failure.value
        if not isinstance(error, NotPublished):
            failure.raiseException()
        if error.cause is NotPublishedCause.NACKED:
            self._stays(letter, f"the queue {self._queue} refuses it (is it full?)")
        else:
            self._stays_without_queue(letter)
            self._queue_is_gone()
        self._answered(letter)

    def _queue_is_gone(self) -> None:
        """Keep all letters from now on, also those in flight that are confirmed later.

        The queue was deleted a moment ago, so it contains none of them.
        """
        self._returned = True
        while self._unsent:
            self._stays_without_queue(self._unsent.popleft())

    def _answered(self, letter: Letter) -> None:
        del self._unanswered[letter.number]
        self._bytes_in_flight -= letter.size
        if self._ended is not None:
            self._publish()
            self._end_when_answered()

    def _stays_without_queue(self, letter: Letter) -> None:
        self._stays(letter, f"the broker returned it: there is no queue {self._queue} any more")

    def _stays(self, letter: Letter, reason: str) -> None:
        self.staying.append((letter.without_content(), reason))
        self._on_answer(1)

    def _all_answered(self) -> Deferred[None]:
        if self._channel.closed:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._ended = ended
        self._end_when_answered()
        return ended

    def _end_when_answered(self) -> None:
        if not self._unanswered and not self._unsent and self._ended is not None:
            ended, self._ended = self._ended, None
            ended.callback(None)

    def _fail(self, reason: Exception) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.errback(reason)

    def _blocked(self, reason: str | None) -> None:
        if reason is not None:
            self._fail(_takes_nothing(reason))

    async def _drain(self, reactor: Any, dead: DeadLetters) -> None:
        not_sent, self._unsent = self._unsent, deque()
        # A second failure is suppressed: the caller gets the first, and finds the progress in the fields.
        with suppress(GivenUp, AMQPError):
            await self._all_answered().addTimeout(DRAIN_SECONDS, reactor)
        self._ended = None
        self._unsent.extend(not_sent)
        with suppress(GivenUp, AMQPError):
            await Deferred.fromCoroutine(dead.removed()).addTimeout(DRAIN_SECONDS, reactor)
            self.removed = True


def _takes_nothing(reason: str) -> AMQPError:
    return AMQPError(f"it takes no messages: {reason}")


def _log(failure: Failure) -> None:
    log.err(failure, "while replaying a dead letter")
