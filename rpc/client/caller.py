"""The client's end: calls go out as requests, and replies settle them.

Every call is in one table until it is settled, by whichever comes first: its reply, the broker's return or nack, its
deadline, its cancellation, the loss of the channel. Taking it out of the table is what settles it, so it cannot happen
twice. A call that finds no channel waits for one, within its deadline; one whose attempt has failed may get another
(``retry.py``).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from zope.interface import implementer

from rpc.amqp.channel import Channel, then_declare
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.confirms import ConfirmLedger
from rpc.amqp.content import Delivery, Returned
from rpc.client.call import Call, Operation
from rpc.client.cancellation import cancel_calls
from rpc.client.channel_health import Doubt
from rpc.client.deadline import deadline_of
from rpc.client.replies import read_headers, read_reply, refusal
from rpc.client.retry import RetryBudget, may_repeat, pause_before
from rpc.context import serving
from rpc.deadlines import Deadlines
from rpc.errors import (
    AMQPError,
    CallTimedOut,
    CodecError,
    ConnectionLost,
    InvalidReply,
    Outcome,
    Overloaded,
    RPCError,
    ServiceUnavailable,
    WorkerLost,
)
from rpc.headers import ATTEMPT, KEEPALIVE, OUTCOME
from rpc.interfaces import IChannelUser, IClock
from rpc.link import Link
from rpc.messages import Properties
from rpc.topology import BROADCAST, EXCHANGES, EXCLUSIVE_QUEUE, REQUESTS

LARGEST_SEQID = 2**31 - 1
"""A Thrift seqid is an i32; after the largest comes 1 again."""

LONGEST_EXPIRATION = 2**32 - 1
"""Milliseconds: RabbitMQ closes the channel of who asks for more. The call's own deadline holds all the same."""

BROKER_LIMIT = re.compile(r"message size \d+ is larger than configured max size (\d+)")
"""What RabbitMQ says when it closes the channel of who sends a larger message, with all calls on it. (406)"""

MAX_I64 = 2**63 - 1

NO_METADATA: Mapping[str, Any] = MappingProxyType({})

NO_PROPERTIES = encode_properties(Properties())

NOT_SENT = Outcome.NOT_SENT


@implementer(IChannelUser)
class RequestTransport:
    """Calls over one channel of a link, with one reply queue.

    :ivar late_replies: replies that nobody waited for any more.
    :ivar route: gives the routing key of a call that is made for another one, by its operation, or ``None`` when it has
        to wait for :meth:`send_waiting`; see :class:`rpc.hosting.Worker`.
    """

    def __init__(self, link: Link, clock: IClock) -> None:
        self._link = link
        self._clock = clock
        self._calls: dict[int, Call] = {}
        self._waiting: dict[int, Call] = {}
        self._deadlines: Deadlines[Call] = Deadlines(clock, self._expired)
        self._alarms: Deadlines[Call] = Deadlines(clock, self._alarmed)
        self._budget = RetryBudget()
        self._identity = f"{secrets.token_hex(8)}.".encode()
        self._number = 0
        self._channel: Channel | None = None
        self._reply_queue = ""
        self._ledger: ConfirmLedger[Call] = ConfirmLedger()
        self._closed = False
        self._broker_limit = MAX_I64
        self._doubt = Doubt()
        self._sent = 0  # calls, not attempts
        self.route: Callable[[Operation], str | None] = _by_service
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
        if self._closed:
            return fail(ConnectionLost(f"{operation.label}: the connection was closed", NOT_SENT))
        call = Call(self, operation, number, body, deadline, context)
        self._calls[number] = call
        call.tick = self._deadlines.add(call, deadline)
        if context is not None:
            context.enter()
        self._send(call, now)
        return call.deferred

    def _next_number(self) -> int:
        number = self._number
        while True:
            number = number + 1 if number < LARGEST_SEQID else 1
            if number not in self._calls:
                self._number = number
                return number

    def _send(self, call: Call, now: float) -> None:
        """Make an attempt; without a channel, when there is one."""
        operation, context = call.operation, call.context
        connection = self._link.connection
        if connection is not None and connection.blocked is not None:
            self._fail(call, call.blocked(connection.blocked))
            return
        channel = self._channel
        if channel is None:
            self._waiting[call.number] = call
            return
        if len(call.body) > self._broker_limit:
            self._fail(call, call.too_large_for(self._broker_limit))
            return
        number = b"%d" % call.number
        left = int((call.deadline - now) * 1000)
        milliseconds = b"%d" % (left if 0 < left <= LONGEST_EXPIRATION else 1 if left < 1 else LONGEST_EXPIRATION)
        inherited = NO_METADATA if context is None and not call.attempts else call.inherited
        routing_key = operation.service if context is None else self.route(operation)
        if routing_key is None:
            self._waiting[call.number] = call
            return
        try:
            properties = operation.properties(
                self._reply_queue, number, milliseconds, self._identity + number, inherited
            )
            channel.publish(operation.exchange, routing_key, properties, call.body, True)
        except CodecError as error:
            self._fail(call, RPCError(f"{operation.label}: {error}", NOT_SENT))
            return
        except AMQPError:  # the channel has just ended, and there will be another
            self._waiting[call.number] = call
            return
        if not call.attempts:
            self._sent += 1
        call.attempts += 1
        call.published = self._ledger.published(call)

    # -- the end of an attempt, and of a call

    def _settle(self, call: Call, result: Any, error: Exception | None = None) -> None:
        """Take a call out of all tables, and fire its Deferred. One that is not there has been settled before."""
        number = call.number
        if self._calls.get(number) is not call:
            return
        del self._calls[number]
        self._deadlines.discard(call, call.tick)
        if call.alarm:
            self._alarms.discard(call, call.alarm)
        if not call.published:
            self._waiting.pop(number, None)
        context = call.context
        if context is not None:
            self._settle_within(context, call.deferred, result, error)
        elif error is None:
            call.deferred.callback(result)
        else:
            call.deferred.errback(error)

    def _settle_within(self, context: Any, deferred: Deferred[Any], result: Any, error: Exception | None) -> None:
        """Fire the Deferred of a nested call: what its callbacks do, they do for the call being served."""
        context.leave()
        token = serving.set(context)
        try:
            if error is None:
                deferred.callback(result)
            else:
                deferred.errback(error)
        finally:
            serving.reset(token)

    def _fail(self, call: Call, error: RPCError) -> None:
        """An attempt has ended with `error`: there is another one, or the call has failed."""
        if self._calls.get(call.number) is not call:
            return
        self._ledger.forget(call.published)
        sent, call.published = call.published, 0
        if call.alarm:
            self._alarms.discard(call, call.alarm)
            call.alarm = 0
        call.uncertain = call.uncertain or error.outcome is Outcome.UNKNOWN
        if not self._repeat(call, error, at_a_cost=sent > 0):
            self._give_up(call, error)

    def _repeat(self, call: Call, error: RPCError, at_a_cost: bool) -> bool:
        operation = call.operation
        if self._closed or not may_repeat(error, retry=operation.retry, idempotent=operation.idempotent):
            return False
        at = self._clock.seconds() + pause_before(call.repetitions + 1)
        if at >= call.deadline or (at_a_cost and not self._budget.take(self._sent)):
            return False
        call.repetitions += 1
        call.problem = error
        call.alarm = self._alarms.add(call, at)
        return True

    def _give_up(self, call: Call, error: RPCError) -> None:
        """Settle a call as failed, and say what is known of all its attempts."""
        if call.uncertain:
            error.outcome = Outcome.UNKNOWN
        elif error.outcome is NOT_SENT and call.attempts:
            error.outcome = Outcome.REJECTED  # as the attempts before were
        error.attempts = call.attempts
        if call.problem is not None:
            error.__cause__ = call.problem
        self._settle(call, None, error)

    def _expired(self, calls: list[Call]) -> None:
        """The deadlines of calls have passed."""
        self._call_off([call for call in calls if call.published])
        for call in calls:
            label = call.operation.label
            if call.published:
                text = "no reply before the deadline"
            else:
                problem = self._link.problem or "the channel is not open yet"
                text = f"not sent before the deadline: {call.problem or problem}"
            self._give_up(call, CallTimedOut(f"{label}: {text}", call.outcome))

    def _alarmed(self, calls: list[Call]) -> None:
        """The pauses of calls are over, or the patience with those that work on them."""
        for call in calls:
            call.alarm = 0
            if call.published:
                self._clock.callLater(0, self._silent, call)  # a sign of life may be there, and not yet read
            elif self._calls.get(call.number) is call:  # what the failure of one does may have cancelled the next
                self._send(call, self._clock.seconds())

    def _silent(self, call: Call) -> None:
        if call.published and not call.alarm:
            label, patience = call.operation.label, call.operation.liveness
            self._fail(call, WorkerLost(f"{label}: nothing was heard of its worker for {patience:g} s"))

    def cancel(self, call: Call) -> None:
        """Settle a call whose caller does not want it any more; tell whoever works on it."""
        if call.published:
            self._call_off([call])
        self._settle(call, None, CancelledError())

    def _call_off(self, calls: list[Call]) -> None:
        channel, connection = self._channel, self._link.connection
        if channel is not None and calls and not (connection is not None and connection.blocked):
            for _ in range(cancel_calls(channel, self._identity, calls)):
                self._ledger.skip()

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
        for declaration in EXCHANGES:
            prepared.addCallback(then_declare, channel, declaration)
        prepared.addCallback(lambda _: self._introduce(channel))
        prepared.addCallback(then_declare, channel, EXCLUSIVE_QUEUE)
        prepared.addCallback(lambda answer: self._consume(channel, answer.queue))
        return prepared.addCallback(lambda _: self._begin(channel))

    def _introduce(self, channel: Channel) -> None:
        """Publish a message that no queue takes. RabbitMQ tells only those that have published something when it
        takes no messages; the first call would be stuck, with nobody to say why.
        """
        channel.publish(REQUESTS, "", NO_PROPERTIES, b"")
        self._ledger.skip()

    def _consume(self, channel: Channel, queue: str) -> Deferred[str]:
        self._reply_queue = queue
        gone = ConnectionLost(f"the reply queue {queue} was deleted")

        def cancelled() -> None:
            channel.abandon(gone)

        return channel.consume(queue, self._replied, cancelled, no_ack=True, exclusive=True)

    def _begin(self, channel: Channel) -> None:
        self._channel = channel
        self.send_waiting()

    def send_waiting(self) -> None:
        """Send the calls that wait, as far as they can be."""
        waiting, self._waiting = self._waiting, {}
        for call in waiting.values():
            if self._calls.get(call.number) is call:  # what the failure of one does may have cancelled the next
                self._send(call, self._clock.seconds())

    def lost(self, reason: Exception) -> None:
        """Fail what was sent; what was not waits for the next channel."""
        self._channel = None
        self._ledger = ConfirmLedger()
        self._doubt = Doubt()
        found = BROKER_LIMIT.search(str(reason))
        if found is not None:
            self._broker_limit = int(found[1])
        for call in [call for call in self._calls.values() if call.published]:
            if len(call.body) > self._broker_limit:
                self._fail(call, call.too_large_for(self._broker_limit))
            else:
                self._fail(call, ConnectionLost(f"{call.operation.label}: {reason}"))

    def blocked(self, reason: str | None) -> None:
        """The broker takes no messages: what waits to be sent is not kept waiting."""
        if reason is not None:
            waiting, self._waiting = self._waiting, {}
            for call in waiting.values():
                self._fail(call, call.blocked(reason))

    def open(self) -> None:
        """Take calls; also after :meth:`close`."""
        self._closed = False

    def close(self) -> None:
        """Settle everything, and take no more calls."""
        self._closed = True
        for call in list(self._calls.values()):
            self._give_up(call, ConnectionLost(f"{call.operation.label}: the connection was closed", call.outcome))
        self._deadlines.stop()
        self._alarms.stop()
        self._channel = None

    # -- answers

    def _replied(self, delivery: Delivery) -> None:
        number, headers = read_reply(delivery)
        call = self._calls.get(number)
        if call is None or call.operation.method.oneway:
            self.late_replies += 1
            return
        if headers is not None and not self._is_answer(call, headers, delivery):
            return
        try:
            result, error = call.operation.decode(number, delivery.body)
        except InvalidReply as invalid:
            self._fail(call, invalid)
        else:
            self._settle(call, result, error)

    def _is_answer(self, call: Call, encoded: bytes, delivery: Delivery) -> bool:
        """Whether a message with headers is a reply like others. A refusal and a sign of life are taken here."""
        try:
            headers = read_headers(call, encoded)
        except InvalidReply as invalid:
            self._fail(call, invalid)
            return False
        if KEEPALIVE in headers:
            if headers.get(ATTEMPT, 1) == call.attempts:  # else it is of one given up before
                self._watch(call)
        elif OUTCOME not in headers:
            return True
        elif call.published and call.operation.exchange != BROADCAST:  # where another worker may run it
            self._fail(call, refusal(call, headers, delivery))
        return False

    def _watch(self, call: Call) -> None:
        """Whoever works on a call is alive: from now on silence means that it is not."""
        liveness = call.operation.liveness
        if liveness is not None and call.published:
            if call.alarm:
                self._alarms.discard(call, call.alarm)
            call.alarm = self._alarms.add(call, self._clock.seconds() + liveness)

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
                why = "the backlog is full, or its queue is out of order"
                self._fail(call, Overloaded(f"{call.operation.label}: the broker refused it: {why}"))
            elif call.operation.method.oneway:
                self._settle(call, None)
        if acknowledged:
            self._doubt.refusals = 0
        elif self._doubt.refused(self._clock.seconds()):
            self._give_up_idle_channel()

    def _give_up_idle_channel(self) -> None:
        """Give the channel up, when no call on it was taken and may still be answered."""
        published = (call.published for call in self._calls.values() if call.published)
        if self._channel is not None and all(number in self._ledger for number in published):
            self._channel.abandon(AMQPError("the broker refuses all that is published on the channel"))


def _by_service(operation: Operation) -> str:
    return operation.service
