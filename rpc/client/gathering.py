"""One question to many workers: a request that is published once, and all replies to it until a wait is over.

An ordinary call takes the first reply. Here each worker that the exchange routes the request to may reply. The reply
queue is the question's own, on a channel of its own: an error closes that channel alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import thread_time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as SetUpTimedOut

from rpc.amqp.channel import Channel
from rpc.amqp.codec.headers import decode_headers
from rpc.amqp.codec.properties import CORRELATION_ID, HEADERS, split_properties
from rpc.amqp.content import Delivery
from rpc.amqp.protocol import AMQPConnection
from rpc.client.call_ids import random_ids
from rpc.client.gathered import Answer, BadAnswer, End, Gathered, Question
from rpc.client.operation import NO_HEADERS
from rpc.errors import (
    AMQPError,
    BrokerBlocked,
    CallTimedOut,
    ChannelClosed,
    CodecError,
    ConnectionLost,
    InvalidReply,
    Outcome,
    RPCError,
    ServiceUnavailable,
)
from rpc.headers import OUTCOME
from rpc.interfaces import IClock
from rpc.link import Link
from rpc.reply_codes import ACCESS_REFUSED, NOT_FOUND
from rpc.topology import EXCLUSIVE_QUEUE

SET_UP_LIMIT = 10.0
"""Seconds for the reply queue: the broker may not answer."""

MOST_ANSWERS = 10_000
"""Replies to one question. A worker that replies again and again must not fill the memory."""

MOST_BYTES = 256 * 1024 * 1024
"""Bytes of these replies."""

MOST_SECONDS = 2.0
"""Seconds of the processor for reading these replies: the reactor waits meanwhile. The limit bounds memory, too: a
reply of 25 KB may become 7 MB, but values that are read in a second take 100 MB at most
(``rpc/envelope/element_costs.py``).
"""

SEQID = 1

INSTANCE = "instance"
"""The metadata of a reply in which a worker tells its name."""

NOT_SENT = Outcome.NOT_SENT


def gather(link: Link, clock: IClock, question: Question) -> Deferred[Gathered]:
    """Ask, and gather the replies.

    :return: fires when the answers are complete, no queue takes the question, the channel is lost, or ``wait`` is over.
        A reply that is no answer fails nothing. Fails before the question is sent, with
        :class:`~rpc.errors.ServiceUnavailable` (no exchange, or no permission for it),
        :class:`~rpc.errors.BrokerBlocked`, :class:`~rpc.errors.ConnectionLost`,
        :class:`~rpc.errors.CallTimedOut` when the broker does not answer, or :class:`~rpc.errors.RPCError` when the
        routing key is over 255 bytes long or the user is not known that ``user_id`` asks for. Cancelling it closes the
        channel.
    """
    return Deferred.fromCoroutine(_gather(link, clock, question))


async def _gather(link: Link, clock: IClock, question: Question) -> Gathered:
    label = question.operation.label
    body = question.operation.encode(SEQID, question.arguments, {})
    try:
        channel = await _usable(link, label).open_channel().addTimeout(SET_UP_LIMIT, clock)
        replies = _Replies(channel, clock, question)
        try:
            queue = await _reply_queue(channel, replies.replied).addTimeout(SET_UP_LIMIT, clock)
            return await replies.ask(queue, body)
        finally:
            replies.stop()
            channel.close()
    except SetUpTimedOut as error:
        _usable(link, label)  # raises if it is blocked by now: RabbitMQ reads nothing from a blocked connection
        raise CallTimedOut(f"{label}: not sent: the broker does not answer", NOT_SENT) from error
    except CodecError as error:
        raise RPCError(f"{label}: not sent: {error}", NOT_SENT) from error
    except AMQPError as error:
        if isinstance(error, ChannelClosed) and error.code == ACCESS_REFUSED:  # of the reply queue
            raise ServiceUnavailable(f"{label}: not sent: {_forbidden(error)}", NOT_SENT) from error
        raise ConnectionLost(f"{label}: not sent: {error}", NOT_SENT) from error


def _forbidden(reason: ChannelClosed) -> str:
    return f"the user lacks a permission: {reason}. See docs/security.md, section 'Permissions'"


def _usable(link: Link, label: str) -> AMQPConnection:
    """Return the open connection.

    :raises RPCError: there is none, or the broker takes no messages.
    """
    connection = link.connection
    if connection is None:
        raise ConnectionLost(f"{label}: not sent: not connected: {link.problem}", NOT_SENT)
    if connection.blocked is not None:
        raise BrokerBlocked(f"{label}: not sent: the broker is blocked: {connection.blocked}", NOT_SENT)
    return connection


def _reply_queue(channel: Channel, replied: Callable[[Delivery], None]) -> Deferred[str]:
    """Declare and consume the reply queue. Fires with its name."""

    async def declare() -> str:
        queue: str = (await channel.declare(EXCLUSIVE_QUEUE)).queue
        gone = AMQPError(f"the reply queue {queue} was deleted")
        await channel.consume(queue, replied, lambda: _abandon(channel, gone), no_ack=True, exclusive=True)
        return queue

    return Deferred.fromCoroutine(declare())


def _abandon(channel: Channel, reason: Exception) -> None:
    channel.abandon(reason)


class _Replies:
    """The replies to one question, until its end."""

    def __init__(self, channel: Channel, clock: IClock, question: Question) -> None:
        self._channel = channel
        self._clock = clock
        self._question = question
        self._operation = question.operation
        self._id = random_ids()[0]
        self._taken = 0
        self._bad: list[BadAnswer] = []
        self._bytes = 0
        self._seconds = 0.0
        self._sent_at = 0.0
        self._ended: Deferred[tuple[End, str | None]] = Deferred()

    async def ask(self, queue: str, body: bytes) -> Gathered:
        """Publish the question, and wait for the end."""
        question, channel = self._question, self._channel
        milliseconds = b"%d" % max(1, int(question.wait * 1000))
        user = channel.client.credentials.user
        properties = self._operation.properties(queue, self._id, milliseconds, NO_HEADERS, user)
        channel.on_return = lambda _: self._end(End.UNROUTABLE)
        channel.on_closed = self._lost
        self._sent_at = self._clock.seconds()
        channel.publish(self._operation.options.exchange, question.routing_key, properties, body, True)
        timer = self._clock.callLater(question.wait, self._end, End.WAITED)
        try:
            end, problem = await self._ended
        finally:
            if timer.active():
                timer.cancel()
        blocked = channel.client.blocked
        if end is End.WAITED and blocked is not None:  # RabbitMQ tells it only after a message was published
            end, problem = End.BLOCKED, f"the broker is blocked: {blocked}"
        return Gathered(tuple(self._bad), end, problem)

    def stop(self) -> None:
        """Take no more replies."""
        self._channel.on_return = None

    def _end(self, end: End, problem: str | None = None) -> None:
        if not self._ended.called:
            self._ended.callback((end, problem))

    def _lost(self, reason: Exception) -> None:
        """The channel is gone. A publish that is refused closes it (AMQP 0-9-1, basic.publish: 403, 404)."""
        if isinstance(reason, ChannelClosed) and reason.code in (ACCESS_REFUSED, NOT_FOUND):
            if not self._ended.called:
                self._ended.errback(self._unavailable(reason))
        else:
            self._end(End.LOST, str(reason))

    def _unavailable(self, reason: ChannelClosed) -> RPCError:
        label, exchange = self._operation.label, self._operation.options.exchange
        if reason.code == NOT_FOUND:
            why = f"the exchange {exchange!r} does not exist on this virtual host: no worker has ever served there"
        else:
            why = _forbidden(reason)
        return ServiceUnavailable(f"{label}: {why}", Outcome.REJECTED)

    # -- replies

    def replied(self, delivery: Delivery) -> None:
        """Take a message of the reply queue. One without the id of the question is dropped."""
        try:
            parts = split_properties(delivery.encoded_properties)
        except CodecError:
            return
        if parts[CORRELATION_ID] != self._id or self._ended.called:
            return
        encoded = parts[HEADERS]
        began = thread_time()
        answer: Answer[Any] | None = None
        try:
            headers = NO_HEADERS if encoded is None else decode_headers(encoded)
        except CodecError as error:
            self._note_bad(NO_HEADERS, f"the headers of the reply: {error}")
        else:
            answer = self._read(delivery, headers)
        self._bytes += delivery.size
        is_complete = answer is not None and self._question.take(answer)
        self._seconds += thread_time() - began
        if self._is_over_a_limit():
            taken = f"{self._taken} and {len(self._bad)} bad ones were taken, of {self._bytes} bytes"
            self._end(End.TOO_MANY, f"there are too many answers: {taken}, read in {self._seconds:.1f} s")
        elif is_complete:
            self._end(End.COMPLETE)

    def _is_over_a_limit(self) -> bool:
        replies = self._taken + len(self._bad)
        return replies >= MOST_ANSWERS or self._bytes >= MOST_BYTES or self._seconds >= MOST_SECONDS

    def _read(self, delivery: Delivery, headers: Mapping[str, Any]) -> Answer[Any] | None:
        """Return a reply if it is an answer, else note it as a bad one."""
        operation = self._operation
        try:
            if delivery.size > operation.options.max_message_size:
                raise operation.reply_too_large(delivery.size)
            if OUTCOME in headers:
                self._note_bad(headers, operation.refusal_text(SEQID, delivery.body))
                return None
            value, error = operation.decode(SEQID, delivery.body)
        except InvalidReply as invalid:
            self._note_bad(headers, str(invalid))
            return None
        if error is not None:
            self._note_bad(headers, f"{type(error).__name__}: {error}")
            return None
        self._taken += 1
        return Answer(_instance(headers), self._passed(), value)

    def _note_bad(self, headers: Mapping[str, Any], problem: str) -> None:
        self._bad.append(BadAnswer(_instance(headers), self._passed(), problem))

    def _passed(self) -> float:
        return self._clock.seconds() - self._sent_at


def _instance(headers: Mapping[str, Any]) -> str | None:
    instance = headers.get(INSTANCE)
    return instance if isinstance(instance, str) else None
