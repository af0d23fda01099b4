"""The client's end of calls. A call is sent as a request, and the first of several possible events settles it.

These are its reply, the broker's return or nack, its deadline, its cancellation, the loss of the channel, and the
closing of the connection. ``call_state.py`` has the table of states.
"""

from __future__ import annotations

from functools import partial
from threading import get_ident
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from zope.interface import implementer

from rpc.amqp.channel import Channel, then_declare
from rpc.amqp.pipelining import all_answered
from rpc.amqp.reasons import broker_limit, wrong_user
from rpc.client.alarm_probe import publish_probe
from rpc.client.attempts import Attempts, Route
from rpc.client.call import Call
from rpc.client.call_ids import random_ids
from rpc.client.call_state import IN_PROGRESS
from rpc.client.deadline import deadline_of, passed
from rpc.client.incoming import Incoming
from rpc.client.keepalives import Keepalives
from rpc.client.operation import Operation
from rpc.client.pending_calls import PendingCalls
from rpc.client.queue_states import QueueStates
from rpc.context import inherited_call, serving
from rpc.errors import CallTimedOut, ChannelClosed, ConnectionLost, Outcome, RPCError, UnusableExchange
from rpc.exchanges import declare, unusable_exchanges
from rpc.interfaces import IChannelUser, IClock
from rpc.link import Link
from rpc.refusals import is_permanent
from rpc.reply_codes import ACCESS_REFUSED
from rpc.topology import BROADCAST, EXCLUSIVE_QUEUE, REQUESTS, reply_route

LARGEST_SEQID = 2**31 - 1
"""A Thrift seqid is an i32; after the largest comes 1 again."""

NOT_SENT = Outcome.NOT_SENT


def route_by_service(operation: Operation) -> str | None:
    """Return the routing key of a nested call: the service's name, as for other calls."""
    return operation.service


@implementer(IChannelUser)
class Caller:
    """Calls over one channel of a link, with one reply queue.

    :ivar pending: the calls that are not settled.
    :ivar incoming: takes the messages that settle them.
    :ivar last_seqid: of the last call.
    :ivar reply_queue: the reply queue's name.
    :ivar clock: the clock of its deadlines.
    """

    def __init__(
        self,
        link: Link,
        clock: IClock,
        route: Route = route_by_service,
        exchange: str = REQUESTS,
        reply_exchange: str | None = None,
    ) -> None:
        """
        :param route: gives the routing keys of nested calls; see :class:`rpc.hosting.Worker`.
        :param exchange: where requests are published.
        :param reply_exchange: where replies are published, if not to the default exchange.
        """
        self._link = link
        self.clock = clock
        self.pending = PendingCalls(clock, self._due, self._timer_fired)
        self._exchange = exchange
        self._reply_exchange = reply_exchange
        self._attempts = Attempts(self.pending, link, clock, route, partial(link.hurry, self))
        self._keepalives = Keepalives(self.pending, self._attempts, link, clock, exchange)
        self.incoming = Incoming(self.pending, self._attempts, self._keepalives, clock)
        self._queue_states = QueueStates(link, clock)
        self._ids: list[bytes] = []
        self._closed = False
        self.last_seqid = 0
        self.reply_queue = ""

    @property
    def channel(self) -> Channel | None:
        """The channel that takes requests just now."""
        return self._attempts.channel

    # -- calls

    def call(self, operation: Operation, /, *arguments: Any, **keywords: Any) -> Deferred[Any]:
        """Send a call of `operation`.

        :return: fires with the result, or for a oneway method with ``None`` when the broker has confirmed the request;
            fails with the IDL's exception, a ``TApplicationException``, an :class:`~rpc.errors.RPCError`, or
            ``CancelledError`` when it is cancelled. It has fired at most 10 ms after the call's deadline.
        :raises TypeError: the number or the names of the arguments are not the method's.
        :raises RuntimeError: this is not the reactor's thread.
        """
        if get_ident() != self._link.thread:
            self._check_thread()
        context = inherited_call() if serving.get() is not None else None
        pending = self.pending
        seqid = self.last_seqid + 1
        if seqid > LARGEST_SEQID or seqid in pending.by_seqid:
            seqid = self._next_seqid()
        self.last_seqid = seqid
        try:
            body = operation.encode(seqid, arguments, keywords)
        except RPCError as error:
            return _not_sent(operation, error)
        except TypeError as error:
            if operation.observer is not None:
                operation.observer.not_sent(operation, error)
            raise
        now = self.clock.seconds()
        deadline = now + operation.timeout if context is None else deadline_of(operation.timeout, now, context)
        if deadline <= now:
            late = f"{operation.label}: not sent: {passed(operation.timeout, now, context)}"
            return _not_sent(operation, CallTimedOut(late, NOT_SENT))
        if self._closed:
            return _not_sent(operation, ConnectionLost(f"{operation.label}: the connection was closed", NOT_SENT))
        if not self._ids:
            self._ids = random_ids()
        call_id = self._ids.pop()
        call = Call(self, operation, call_id, seqid, body, now, deadline, context)
        if operation.observer is not None and operation.observer.asks:
            operation.observer.begun(call)
        pending.calls[call_id] = call
        if operation.options.uncorrelated_replies:
            pending.by_seqid[seqid] = call
        ask_at = deadline - operation.lead
        call.tick = pending.deadlines.add(call, ask_at if ask_at > now else deadline)
        if context is not None:
            context.enter()
        self._attempts.send(call, now)
        return call.deferred

    def _check_thread(self) -> None:
        """Raise an error in other threads than the reactor's. Calls made there would be lost now and then."""
        if self._link.thread is not None:
            raise RuntimeError(
                "a call was made in another thread than the reactor's: use rpc.blocking in threads, "
                "or twisted.internet.threads.blockingCallFromThread"
            )

    def _next_seqid(self) -> int:
        seqid = self.last_seqid % LARGEST_SEQID + 1
        while seqid in self.pending.by_seqid:
            seqid = seqid % LARGEST_SEQID + 1
        return seqid

    def cancel(self, call: Call) -> None:
        """Settle a call whose caller has cancelled its Deferred, and tell the workers that may have it."""
        self._attempts.cancellations.add((call,))
        self.pending.settle(call, None, CancelledError())

    def send_waiting(self) -> None:
        """Send the calls that wait for a route, or for a channel."""
        self._attempts.send_waiting()

    def _timer_fired(self, calls: list[Call]) -> None:
        for call in calls:
            call.timer = 0
        self._keepalives.missed(calls)
        self._attempts.pauses_over(calls)

    def _due(self, calls: list[Call]) -> None:
        """Fail the calls whose deadline has passed. For the others, ask the broker about their services' queues."""
        now = self.clock.seconds()
        expired = [call for call in calls if call.deadline <= now]
        for call in calls:
            if call.deadline > now:
                call.tick = self.pending.deadlines.add(call, call.deadline)
                queue = call.operation.queue
                if call.state in IN_PROGRESS and queue is not None:
                    self._queue_states.ask(queue)
        if expired:
            self._expired(expired)

    def _expired(self, calls: list[Call]) -> None:
        self._attempts.cancellations.add(calls, broadcast=False)
        for call in calls:
            if call.state in IN_PROGRESS:
                reason = self._why_no_reply(call.operation)
                text = f"no reply before the deadline{f': {reason}' if reason else ''}"
            else:
                problem = self._link.problem or "the channel is not open yet"
                text = f"not sent before the deadline: {call.problem or problem}"
            self._attempts.give_up(call, CallTimedOut(f"{call.operation.label}: {text}", call.outcome))

    def _why_no_reply(self, operation: Operation) -> str:
        """Return why calls may get no reply; empty when nothing is known."""
        connection = self._link.connection
        if connection is not None and connection.blocked is not None:  # RabbitMQ tells it only after a publish
            return f"the broker is blocked: {connection.blocked}"
        queue = operation.queue
        state = self._queue_states.known(queue) if queue is not None and operation.lead else None
        return "" if state is None else str(state)

    # -- the channel

    def opened(self, channel: Channel) -> Deferred[None]:
        """Declare and consume the reply queue, then send the calls that wait.

        The exchanges are looked up on another channel: a publish to a missing one closes its channel (AMQP 0-9-1,
        basic.publish: 404), and so does one without permission (403). They are not declared, because the permission
        for that would allow to delete them.
        """
        channel.on_return = self.incoming.returned
        channel.on_confirm = self.incoming.confirmed
        self.pending.forget_confirms()
        looked_up = unusable_exchanges(channel.client, (self._exchange, BROADCAST)).addCallback(self._looked_up)
        prepared: Deferred[Any] = all_answered([looked_up, channel.select_confirms()])
        prepared.addCallback(lambda _: self._introduce(channel))
        prepared.addCallback(then_declare, channel, EXCLUSIVE_QUEUE)
        prepared.addCallback(lambda answer: self._prepare_replies(channel, answer.queue))
        prepared.addCallback(lambda _: looked_up)
        return prepared.addCallback(
            lambda can_broadcast: self._attempts.begin(channel, self.reply_queue, can_broadcast)
        )

    def _looked_up(self, errors: dict[str, ChannelClosed]) -> bool:
        """Return whether broadcasts can be published.

        :raises UnusableExchange: requests cannot.
        """
        error = errors.get(self._exchange)
        if error is None:
            return BROADCAST not in errors
        if error.code == ACCESS_REFUSED:
            raise UnusableExchange(self._forbidden(error))
        raise UnusableExchange(
            f"the exchange {self._exchange!r} does not exist on this virtual host: no worker has ever served there, or "
            "it was deleted. Start a worker, or check virtual host and exchange"
        )

    def _forbidden(self, error: ChannelClosed) -> str:
        return f"the user lacks a permission: {error}. See docs/security.md, section 'Permissions'"

    def _introduce(self, channel: Channel) -> None:
        """Find out about an alarm. Otherwise the first call would time out, and its error would not name the reason."""
        publish_probe(channel, self.pending.ledger, self._exchange)

    def _prepare_replies(self, channel: Channel, queue: str) -> Deferred[Any]:
        """Consume the reply queue, when replies can reach it."""
        if self._reply_exchange is None:
            return self._consume(channel, queue)
        routed: Deferred[Any] = declare(channel, reply_route(queue, self._reply_exchange))
        return routed.addCallback(lambda _: self._consume(channel, queue))

    def _consume(self, channel: Channel, queue: str) -> Deferred[str]:
        self.reply_queue = queue
        gone = ConnectionLost(f"the reply queue {queue} was deleted")

        def cancelled() -> None:
            channel.abandon(gone)

        return channel.consume(queue, self.incoming.replied, cancelled, no_ack=True, exclusive=True)

    def lost(self, reason: Exception) -> None:
        """Fail the attempts that were published. Other calls wait for the next channel, unless the broker will refuse
        that one as well: then they fail.
        """
        self.pending.forget_confirms()
        self.incoming.channel_lost()
        self._queue_states.forget()
        self._attempts.lost(reason, broker_limit(reason), wrong_user(reason))
        if isinstance(reason, UnusableExchange):
            self._attempts.fail_waiting(lambda call: call.unavailable(str(reason)))
        elif isinstance(reason, ChannelClosed) and is_permanent(reason):
            forbidden = reason.code == ACCESS_REFUSED
            text = self._forbidden(reason) if forbidden else f"the broker refuses a channel of the client: {reason}"
            self._attempts.fail_waiting(lambda call: call.unavailable(text))

    def refused(self, error: Exception) -> None:
        """The broker refuses the connection: fail the calls that wait for a channel."""
        self._attempts.fail_waiting(lambda call: call.refused(error))

    def blocked(self, reason: str | None) -> None:
        """The broker takes no messages, for `reason`; or takes them again (``None``)."""
        self._keepalives.expect_anew()
        if reason is not None:
            self._attempts.fail_waiting(lambda call: call.blocked(reason))

    # -- beginning and end

    def open(self) -> None:
        """Take calls; also after :meth:`close`."""
        self._closed = False
        self._attempts.open()
        self.incoming.open()

    def close(self) -> None:
        """Settle every call (``ConnectionLost``), tell their workers, and take no more calls."""
        self._closed = True
        self._attempts.close()
        self.pending.stop()
        self.incoming.close()


def _not_sent(operation: Operation, error: RPCError) -> Deferred[Any]:
    """Return the end of a call that did not come into the table."""
    if operation.observer is not None:
        operation.observer.not_sent(operation, error)
    return fail(error)
