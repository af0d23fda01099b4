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
from twisted.python.failure import Failure

from rpc import log
from rpc.amqp.channel import Channel
from rpc.amqp.confirmed import ConfirmedPublisher, NotPublished, NotPublishedCause
from rpc.cli.copies import CopyOf, copy_revived
from rpc.cli.dead_letters import Letter
from rpc.cli.dead_queues import DeadQueues
from rpc.errors import AMQPError, CodecError
from rpc.signing import SignatureError

IN_FLIGHT: Final = 64
"""Letters that are published and not yet confirmed. The first is published alone, in case the broker is blocked."""

BYTES_IN_FLIGHT: Final = 8 * 1024 * 1024

DRAIN_SECONDS: Final = 5.0
"""How long a replay that failed waits for the confirms of the letters in flight."""


@attrs.define(eq=False)
class Progress:
    """How far a replay has come; also after it has failed.

    :ivar replayed: how many letters the broker has confirmed in the service's queue.
    :ivar staying: the letters that stay dead, with the reason.
    :ivar unanswered: the letters that were published and not confirmed, by number: they stay dead, and may also be in
        the service's queue.
    :ivar waiting: the letters that were read and not published.
    :ivar unread: how many letters are left to read.
    :ivar removed: whether the queues of dead letters have taken the acks of the replayed ones.
    """

    replayed: int = 0
    staying: list[tuple[Letter, str]] = attrs.field(factory=list)
    unanswered: dict[int, Letter] = attrs.field(factory=dict)
    waiting: deque[Letter] = attrs.field(factory=deque)
    unread: int = 0
    removed: bool = False

    @property
    def unsent(self) -> int:
        """How many letters were not published."""
        return len(self.waiting) + self.unread


class Replay:
    """Publishes letters, and acks each when the broker has confirmed it."""

    def __init__(
        self,
        progress: Progress,
        queue: str,
        dead: DeadQueues,
        channel: Channel,
        answered: Callable[[int], None],
        own: str | None,
        copy_of: CopyOf = copy_revived,
    ) -> None:
        """
        :param progress: is kept up to date.
        :param queue: the service's.
        :param channel: to publish on; in confirm mode. Run the replay by :func:`~rpc.cli.alarm.unless_blocked`.
        :param answered: called with 1 when the broker has confirmed or refused a letter.
        :param own: see :func:`~rpc.cli.copies.own_user`.
        :param copy_of: raises :class:`CodecError` or :class:`SignatureError` for a letter that stays.
        """
        self._progress = progress
        self._queue = queue
        self._dead = dead
        self._channel = channel
        self._on_answer = answered
        self._own = own
        self._copy_of = copy_of
        self._publisher = ConfirmedPublisher(channel, self._queue_is_gone)
        self._bytes_in_flight = 0
        self._queue_gone = False
        self._ended: Deferred[None] | None = None  # while the letters of a batch are published
        channel.on_closed = self._fail
        dead.on_lost(self._fail)

    async def run(self, reactor: Any, batches: AsyncIterable[list[Letter]]) -> None:
        """Replay letters. After a failure or a cancellation it waits some seconds for the letters in flight.

        :param batches: the letters. The next batch is read when the last one is replayed.
        :raises AMQPError: a connection was lost.
        :raises CancelledError: the replay was cancelled.
        """
        try:
            async for letters in batches:
                self._progress.waiting.extend(letters)
                self._check_channel()
                self._publish()
                await self._all_answered()
            await self._dead.removed()
        except (CancelledError, AMQPError):
            await self._drain(reactor)
            raise
        finally:
            self._progress.unread = self._dead.unread
        self._progress.removed = True

    def _check_channel(self) -> None:
        """Fail if the channel is lost. It may have been lost while letters were being read."""
        if self._channel.closed:
            raise self._channel.reason or AMQPError("the channel is closed")

    def _publish(self) -> None:
        waiting = self._progress.waiting
        while waiting and self._may_publish():
            letter = waiting[0]
            content = letter.content
            assert content is not None
            if letter.original_size is not None:
                self._stays(waiting.popleft(), f"only {letter.size} of its {letter.original_size} bytes were kept")
                continue
            try:
                encoded = self._copy_of(content, self._own)
                published = self._publisher.publish("", self._queue, encoded, content.body)
            except CodecError as error:
                self._stays(waiting.popleft(), f"it cannot be sent: {error}")
                continue
            except SignatureError as error:
                self._stays(waiting.popleft(), str(error))
                continue
            waiting.popleft()
            self._progress.unanswered[letter.number] = letter
            self._bytes_in_flight += letter.size
            published.addCallbacks(self._confirmed, self._not_published, (letter,), errbackArgs=(letter,))
            published.addErrback(_log)

    def _may_publish(self) -> bool:
        progress = self._progress
        most = IN_FLIGHT if progress.replayed or progress.staying else 1
        return len(progress.unanswered) < most and self._bytes_in_flight < BYTES_IN_FLIGHT

    def _confirmed(self, _: object, letter: Letter) -> None:
        if self._queue_gone:
            self._stays_without_queue(letter)
        else:
            self._dead.remove([letter])
            self._progress.replayed += 1
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
        self._queue_gone = True
        while self._progress.waiting:
            self._stays_without_queue(self._progress.waiting.popleft())

    def _answered(self, letter: Letter) -> None:
        del self._progress.unanswered[letter.number]
        self._bytes_in_flight -= letter.size
        if self._ended is not None:
            self._publish()
            self._end_when_answered()

    def _stays_without_queue(self, letter: Letter) -> None:
        self._stays(letter, f"the broker returned it: there is no queue {self._queue} any more")

    def _stays(self, letter: Letter, reason: str) -> None:
        self._progress.staying.append((letter.without_content(), reason))
        self._on_answer(1)

    def _all_answered(self) -> Deferred[None]:
        if self._channel.closed:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._ended = ended
        self._end_when_answered()
        return ended

    def _end_when_answered(self) -> None:
        if not self._progress.unanswered and not self._progress.waiting and self._ended is not None:
            ended, self._ended = self._ended, None
            ended.callback(None)

    def _fail(self, reason: Exception) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.errback(reason)

    async def _drain(self, reactor: Any) -> None:
        progress = self._progress
        not_sent, progress.waiting = progress.waiting, deque()
        # A second failure is suppressed: the caller gets the first one.
        with suppress(GivenUp, AMQPError):
            await self._all_answered().addTimeout(DRAIN_SECONDS, reactor)
        self._ended = None
        progress.waiting.extend(not_sent)
        with suppress(GivenUp, AMQPError):
            await Deferred.fromCoroutine(self._dead.removed()).addTimeout(DRAIN_SECONDS, reactor)
            progress.removed = True


def _log(failure: Failure) -> None:
    log.err(failure, "while replaying a dead letter")
