"""The client's end: calls go out as requests, and replies settle them.

Every call is in one table until it is settled, by whichever comes first: its reply, the broker's return or nack, its
deadline, its cancellation, the loss of the channel. Taking it out of the table is what settles it, so it cannot happen
twice. A call that finds no channel waits for one, within its deadline.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.python import log
from zope.interface import implementer

from rpc.amqp.channel import Channel, then_declare
from rpc.amqp.confirms import ConfirmLedger
from rpc.amqp.content import Delivery, Returned
from rpc.amqp.properties import CONTENT_TYPE, CORRELATION_ID, HEADERS, decode_headers, decode_text, split_properties
from rpc.context import serving
from rpc.deadlines import TICK, Deadlines
from rpc.envelope import codec_for
from rpc.errors import (
    AMQPError,
    BrokerBlocked,
    CallTimedOut,
    CodecError,
    ConnectionLost,
    InvalidReply,
    MalformedMessage,
    MessageTooLarge,
    Outcome,
    Overloaded,
    RPCError,
    ServiceUnavailable,
    UnknownProtocol,
)
from rpc.interfaces import IChannelUser, IClock
from rpc.link import Link
from rpc.policies.deadline import deadline_of
from rpc.topology import EXCHANGES, EXCLUSIVE_QUEUE
from rpc.transport.calls import Call, Operation

LARGEST_SEQID = 2**31 - 1
"""A Thrift seqid is an i32; after the largest comes 1 again."""

LONGEST_EXPIRATION = 2**32 - 1
"""Milliseconds: RabbitMQ closes the channel of who asks for more. The call's own deadline holds all the same."""

NO_METADATA: dict[str, Any] = {}

NOT_SENT = Outcome.NOT_SENT


@implementer(IChannelUser)
class RequestTransport:
    """Calls over one channel of a link, with one reply queue.

    :ivar late_replies: replies that nobody waited for any more.
    """

    def __init__(self, link: Link, clock: IClock) -> None:
        self._link = link
        self._clock = clock
        self._calls: dict[int, Call] = {}
        self._waiting: dict[int, Call] = {}
        self._deadlines: Deadlines[Call] = Deadlines()
        self._timer: IDelayedCall | None = None
        self._timer_at = 0.0
        self._identity = f"{secrets.token_hex(8)}.".encode()
        self._number = 0
        self._channel: Channel | None = None
        self._reply_queue = ""
        self._ledger: ConfirmLedger[Call] = ConfirmLedger()
        self._closed = False
        self.late_replies = 0

    # -- calls

    def call(self, operation: Operation, /, *arguments: Any, **keywords: Any) -> Deferred[Any]:
        """Send a call of `operation`.

        :return: fires with the result, or for a oneway method with ``None`` when the broker has confirmed the request;
            fails with the IDL's exception, a ``TApplicationException``, an :class:`~rpc.errors.RPCError`, or
            ``CancelledError`` when it is cancelled. In any case at the call's deadline, to a hundredth of a second.
        :raises TypeError: the number or the names of the arguments are not the method's.
        """
        context = serving.get()
        if context is not None and context.answered:
            context = None
        number = self._next_number()
        try:
            body = operation.encode(number, arguments, keywords)
        except RPCError as error:
            return fail(error)
        now = self._clock.seconds()
        deadline = now + operation.timeout if context is None else deadline_of(operation.timeout, now, context)
        if deadline <= now:
            return fail(CallTimedOut(f"{operation.label}: not sent: the call being served is out of time", NOT_SENT))
        call = Call(self, operation, number, body, deadline, context.metadata if context else NO_METADATA)
        if self._closed:
            return fail(ConnectionLost(f"{operation.label}: the connection was closed", NOT_SENT))
        self._calls[number] = call
        call.tick = self._deadlines.add(call, deadline)
        if self._timer is None or call.tick * TICK < self._timer_at:
            self._set_timer()
        if self._channel is None:
            self._waiting[number] = call
        else:
            self._send(call, self._channel, now)
        return call.deferred

    def _next_number(self) -> int:
        number = self._number
        while True:
            number = number + 1 if number < LARGEST_SEQID else 1
            if number not in self._calls:
                self._number = number
                return number

    def _send(self, call: Call, channel: Channel, now: float) -> None:
        operation = call.operation
        blocked = channel.client.blocked
        if blocked is not None:
            self._fail(call, BrokerBlocked(f"{operation.label}: the broker takes no messages just now: {blocked}"))
            return
        number = b"%d" % call.number
        left = int((call.deadline - now) * 1000)
        milliseconds = b"%d" % (left if 0 < left <= LONGEST_EXPIRATION else 1 if left < 1 else LONGEST_EXPIRATION)
        message_id = self._identity + number
        try:
            properties = operation.properties(self._reply_queue, number, milliseconds, message_id, call.inherited)
            channel.publish(operation.exchange, operation.service, properties, call.body, True)
        except CodecError as error:
            self._fail(call, RPCError(f"{operation.label}: {error}", NOT_SENT))
            return
        except AMQPError:  # the channel has just ended, and there will be another
            self._waiting[call.number] = call
            return
        call.sent = True
        self._ledger.published(call)

    def _take(self, call: Call) -> bool:
        """Take a call out of all tables: whoever gets ``True`` settles it."""
        number = call.number
        if self._calls.get(number) is not call:
            return False
        del self._calls[number]
        self._deadlines.discard(call, call.tick)
        self._waiting.pop(number, None)
        return True

    def forget(self, call: Call) -> None:
        """Take a call out that has been cancelled."""
        self._take(call)

    def _fail(self, call: Call, error: Exception) -> None:
        if self._take(call):
            call.deferred.errback(error)

    # -- deadlines

    def _set_timer(self) -> None:
        expiry = self._deadlines.next_expiry()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if expiry is not None:
            self._timer_at = expiry
            self._timer = self._clock.callLater(max(0.0, expiry - self._clock.seconds()), self._expire)

    def _expire(self) -> None:
        self._timer = None
        for call in self._deadlines.pop_expired(self._clock.seconds()):
            self._fail(call, self._timed_out(call))
        if self._timer is None:
            self._set_timer()

    def _timed_out(self, call: Call) -> CallTimedOut:
        label = call.operation.label
        if call.sent:
            return CallTimedOut(f"{label}: no reply before the deadline", Outcome.UNKNOWN)
        problem = self._link.problem or "the channel is not open yet"
        return CallTimedOut(f"{label}: not sent before the deadline: {problem}", NOT_SENT)

    # -- the channel

    def opened(self, channel: Channel) -> Deferred[None]:
        """Declare and consume the reply queue, then send what waits.

        The exchanges are declared as well: on a broker that no worker has seen, a call is to be unroutable, and not
        an error of the channel.
        """
        channel.on_return = self._returned
        channel.on_confirm = self._confirmed
        self._ledger = ConfirmLedger()
        prepared: Deferred[Any] = channel.confirm_select()
        for declaration in (*EXCHANGES, EXCLUSIVE_QUEUE):
            prepared.addCallback(then_declare, channel, declaration)
        prepared.addCallback(lambda answer: self._consume(channel, answer.queue))
        return prepared.addCallback(lambda _: self._begin(channel))

    def _consume(self, channel: Channel, queue: str) -> Deferred[str]:
        self._reply_queue = queue
        gone = ConnectionLost(f"the reply queue {queue} was deleted")

        def cancelled() -> None:
            channel.abandon(gone)

        return channel.consume(queue, self._replied, cancelled, no_ack=True, exclusive=True)

    def _begin(self, channel: Channel) -> None:
        self._channel = channel
        waiting, self._waiting = self._waiting, {}
        for call in waiting.values():
            if self._calls.get(call.number) is call:  # what the failure of one does may have cancelled the next
                self._send(call, channel, self._clock.seconds())

    def lost(self, reason: Exception) -> None:
        """Settle what was sent; what was not waits for the next channel."""
        self._channel = None
        self._ledger.abandon()
        for call in [call for call in self._calls.values() if call.sent]:
            self._fail(call, ConnectionLost(f"{call.operation.label}: {reason}", Outcome.UNKNOWN))

    def open(self) -> None:
        """Take calls; also after :meth:`close`."""
        self._closed = False

    def close(self) -> None:
        """Settle everything, and take no more calls."""
        self._closed = True
        for call in list(self._calls.values()):
            outcome = Outcome.UNKNOWN if call.sent else NOT_SENT
            self._fail(call, ConnectionLost(f"{call.operation.label}: the connection was closed", outcome))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- answers

    def _replied(self, delivery: Delivery) -> None:
        number, headers = self._read_reply(delivery)
        call = self._calls.get(number)
        if call is None or call.operation.method.oneway:
            self.late_replies += 1
            return
        try:
            result, error = call.operation.decode(number, delivery.body)
        except InvalidReply as invalid:
            result, error = None, invalid
        if headers is not None and "rpc-outcome" in headers:
            error = refusal(str(headers["rpc-outcome"]), str(error))
        self._take(call)
        if error is None:
            call.deferred.callback(result)
        else:
            call.deferred.errback(error)

    def _read_reply(self, delivery: Delivery) -> tuple[int, Mapping[str, Any] | None]:
        """Which call a reply answers, 0 for none, and its headers.

        The call is told by correlation id, or without one by Thrift's seqid.
        """
        try:
            parts = split_properties(delivery.encoded_properties)
            headers, correlation_id, content_type = parts[HEADERS], parts[CORRELATION_ID], parts[CONTENT_TYPE]
            if correlation_id is not None:
                number = int(correlation_id[1:])
            else:
                codec = codec_for(None if content_type is None else decode_text(content_type))
                _, _, number, _ = codec.read_header(delivery.body)
            return number, None if headers is None else decode_headers(headers)
        except (CodecError, MalformedMessage, UnknownProtocol, ValueError) as error:
            log.msg(f"a reply that cannot be read: {error}")
            return 0, None

    def _returned(self, returned: Returned) -> None:
        call = self._calls.get(int(returned.properties.correlation_id or 0))
        if call is not None:
            service = call.operation.service
            self._fail(
                call,
                ServiceUnavailable(
                    f"{call.operation.label}: no worker has ever served {service!r} here "
                    f"({returned.reply_code} {returned.reply_text}); start one, or correct the name"
                ),
            )

    def _confirmed(self, delivery_tag: int, multiple: bool, acknowledged: bool) -> None:
        for call in self._ledger.settle(delivery_tag, multiple):
            if not acknowledged:
                self._fail(call, Overloaded(f"{call.operation.label}: the broker refused it: the backlog is full"))
            elif call.operation.method.oneway and self._take(call):
                call.deferred.callback(None)


REFUSALS = {"too-large": MessageTooLarge, "overloaded": Overloaded}
"""What the header ``rpc-outcome`` of a reply says: the worker did not run the request."""


def refusal(word: str, message: str) -> RPCError:
    """Return the error of a worker's refusal."""
    return REFUSALS.get(word, ServiceUnavailable)(message, Outcome.REJECTED)
