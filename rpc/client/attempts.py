"""The attempts of a call: how one is made, how it ends, and whether another one follows.

An attempt that fails is followed by another one when the client's options, the deadline and the budget allow for it
(``retry.py``). Otherwise the call has failed, and its error tells of all its attempts.
"""

from __future__ import annotations

from collections.abc import Callable

from rpc.amqp.channel import Channel
from rpc.client.call import Call
from rpc.client.call_state import IN_PROGRESS, SENT, SETTLED, CallState
from rpc.client.cancellation import Cancellations
from rpc.client.operation import NO_HEADERS, Operation
from rpc.client.pending_calls import PendingCalls
from rpc.client.retry import LOSSES, RetryBudget, may_repeat, pause_before
from rpc.client.signed_calls import cancellation_properties, signed_request
from rpc.errors import AccessDenied, AMQPError, CodecError, ConnectionLost, Outcome, RPCError
from rpc.interfaces import IClock
from rpc.keys import Keys
from rpc.link import Link
from rpc.topology import BROADCAST, instance_of

Route = Callable[[Operation], "str | None"]
"""Gives the routing key of a nested call, or ``None`` when the call has to wait for :meth:`Attempts.send_waiting`."""

LONGEST_EXPIRATION = 2**32 - 1
"""Milliseconds: RabbitMQ closes the channel for a larger expiration. The client keeps longer deadlines by its timer."""

MAX_I64 = 2**63 - 1

NOT_SENT = Outcome.NOT_SENT

NO_ONEWAY = (
    "a oneway call ends when the broker has confirmed it, and the version of AMQP that spec= names has no confirms: "
    "leave spec= out"
)


class Attempts:
    """Makes and ends the attempts of pending calls.

    :ivar channel: the channel that takes requests; ``None`` while calls wait for one.
    :ivar cancellations: of calls that have ended and may be in progress at workers.
    """

    def __init__(
        self, pending: PendingCalls, link: Link, clock: IClock, route: Route, hurry: Callable[[], None]
    ) -> None:
        """
        :param route: see :data:`Route`.
        :param hurry: called when a call waits for a channel.
        """
        self._pending = pending
        self._link = link
        self._clock = clock
        self._route = route
        self._hurry = hurry
        self._budget = RetryBudget()
        self._calls_sent = 0
        self._reply_queue = ""
        self._user: str | None = None
        self._broker_limit = MAX_I64
        self._can_broadcast = False
        self._confirms = True
        self._closed = False
        self.cancellations = Cancellations(clock, self._publish_cancellation)
        self.channel: Channel | None = None

    # -- making an attempt

    def send(self, call: Call, now: float) -> None:
        """Make an attempt. Without a channel, the call waits for the next one."""
        operation, context = call.operation, call.context
        connection = self._link.connection
        channel = self.channel
        # The loss of another channel may run this before this channel learns that its connection has ended.
        if connection is None or connection.closed:
            channel = None
        elif connection.blocked is not None:
            self.fail(call, call.blocked(connection.blocked))
            return
        routing_key = operation.service if context is None else self._route(operation)
        if channel is None or routing_key is None:
            self._wait(call)
            return
        if operation.oneway and not self._confirms:
            self.fail(call, RPCError(f"{operation.label}: {NO_ONEWAY}", NOT_SENT))
            return
        if len(call.body) > self._broker_limit:
            self.fail(call, call.too_large_for(self._broker_limit))
            return
        left = int((call.deadline - now) * 1000)
        milliseconds = b"%d" % (left if 0 < left <= LONGEST_EXPIRATION else 1 if left < 1 else LONGEST_EXPIRATION)
        inherited = NO_HEADERS if context is None and not call.attempts else call.inherited
        try:
            if call.seen is None or call.seen.changed_headers is None:
                properties = operation.properties(self._reply_queue, call.id, milliseconds, inherited, self._user)
            else:
                headers = call.numbered(call.seen.changed_headers)
                properties = operation.properties_with(self._reply_queue, call.id, milliseconds, headers, self._user)
            if operation.options.keys is not None:
                properties = signed_request(call, operation.options.keys, properties, milliseconds)
            channel.publish(operation.options.exchange, routing_key, properties, call.body, True)
        except CodecError as error:
            self.fail(call, RPCError(f"{operation.label}: {error}", NOT_SENT))
            return
        except AMQPError:  # the channel has just ended, and there will be another
            self._wait(call)
            return
        if not call.attempts:
            self._calls_sent += 1
        call.attempts += 1
        call.workers = operation.workers if context is None else frozenset((instance_of(routing_key),))
        call.unconfirmed = self._pending.ledger.published(call)
        call.state = SENT

    def _wait(self, call: Call) -> None:
        """Have the call wait for the next channel, unless the broker refuses the connection."""
        if self._link.refusal is not None:
            self.fail(call, call.refused(self._link.refusal))
            return
        call.state = CallState.WAITING_FOR_CHANNEL
        self._pending.waiting[call.id] = call
        if self.channel is None:
            self._hurry()

    # -- the channel

    def begin(self, channel: Channel, reply_queue: str, can_broadcast: bool) -> None:
        """Use `channel` from now on, and send the calls that wait.

        :param can_broadcast: whether the exchange for broadcasts exists, and the user may publish to it. Otherwise a
            cancellation would close the channel, and fail all calls.
        """
        self._can_broadcast = can_broadcast
        self._reply_queue = reply_queue
        self._user = channel.client.credentials.user
        self._confirms = channel.client.definition.has_confirms
        self.resume(channel)

    def suspend(self) -> None:
        """Publish no more requests on the channel. Calls wait until :meth:`resume` or :meth:`begin`."""
        self.channel = None

    def resume(self, channel: Channel) -> None:
        """Use `channel` again, and send the calls that wait."""
        self.channel = channel
        self.send_waiting()

    def lost(self, reason: Exception, broker_limit: int | None, wrong_user: str | None = None) -> None:
        """Fail the attempts that were published on the channel. Other calls wait for the next channel.

        :param broker_limit: bytes of a message, when the broker closed the channel because of a larger one.
        :param wrong_user: the user id that the broker refused, when it closed the channel for one. It has taken no
            request with this user id.
        """
        self.channel = None
        if broker_limit is not None:
            self._broker_limit = broker_limit
        for call in list(self._pending.calls.values()):
            if call.state not in IN_PROGRESS:
                continue
            if len(call.body) > self._broker_limit:
                self.fail(call, call.too_large_for(self._broker_limit))
            elif wrong_user is not None and call.operation.sender(self._user) == wrong_user:
                self.fail(call, AccessDenied(f"{call.operation.label}: {reason}; correct user_id"))
            else:
                self.fail(call, ConnectionLost(f"{call.operation.label}: {reason}"))

    def open(self) -> None:
        """Allow for further attempts."""
        self._closed = False

    def close(self) -> None:
        """Settle every call (``ConnectionLost``), and tell their workers. No further attempts are made."""
        self._closed = True
        calls = list(self._pending.calls.values())
        self.cancellations.add(calls)
        for call in calls:
            error = ConnectionLost(f"{call.operation.label}: the connection was closed", call.outcome)
            self.give_up(call, error)
        self.cancellations.flush()  # an errback may have cancelled another call
        self.channel = None

    def send_waiting(self) -> None:
        """Send the calls that wait, as far as there are a channel and routes."""
        for call in self._pending.take_waiting():
            if call.state is CallState.WAITING_FOR_CHANNEL:  # a failure's callback may have cancelled the next call
                self.send(call, self._clock.seconds())

    # -- the end of an attempt, and of a call

    def fail(self, call: Call, error: RPCError) -> None:
        """End the present attempt of `call` with `error`. Nothing for a call that is settled."""
        self.fail_all([(call, error)])

    def fail_all(self, failures: list[tuple[Call, RPCError]]) -> None:
        """Do the same for many calls, with one cancellation for each worker."""
        failed = [
            (call, error)
            for call, error in failures
            if call.state is not SETTLED and not self._is_followed(call, error)
        ]
        self.cancellations.add(call for call, _ in failed)
        for call, error in failed:
            self.give_up(call, error)

    def _is_followed(self, call: Call, error: RPCError) -> bool:
        """End the present attempt of `call`. Return whether another one will follow."""
        pending = self._pending
        published = call.state in IN_PROGRESS
        if call.unconfirmed:
            pending.ledger.forget(call.unconfirmed)
            call.unconfirmed = 0
        pending.stop_timer(call)
        call.end_attempt(
            maybe_executed=error.outcome is Outcome.UNKNOWN, in_progress=published and isinstance(error, LOSSES)
        )
        operation = call.operation
        retry = operation.options.retry
        if self._closed or not may_repeat(error, retry=retry, idempotent=operation.idempotent):
            return False
        at = self._clock.seconds() + pause_before(call.repetitions + 1)
        if at >= call.deadline or (published and not self._budget.take(self._calls_sent)):
            return False
        call.repetitions += 1
        call.problem = error
        call.state = CallState.PAUSED
        call.timer = pending.timers.add(call, at)
        if operation.observer is not None:
            operation.observer.retrying(call, error)
        return True

    def give_up(self, call: Call, error: RPCError) -> None:
        """Settle a call as failed. Its error tells of all its attempts."""
        if call.maybe_executed:
            error.outcome = Outcome.UNKNOWN
        elif error.outcome is NOT_SENT and call.attempts:
            error.outcome = Outcome.REJECTED  # as the attempts before were
        error.attempts = call.attempts
        if call.problem is not None:
            error.__cause__ = call.problem
        self._pending.settle(call, None, error)

    def _publish_cancellation(self, exchange: str, routing_key: str, keys: Keys | None, body: bytes) -> None:
        channel, connection = self.channel, self._link.connection
        if channel is None or channel.client.closed or (connection is not None and connection.blocked is not None):
            return
        if exchange == BROADCAST and not self._can_broadcast:
            return
        try:
            properties = cancellation_properties(keys, routing_key.partition("@")[0], body)
            channel.publish(exchange, routing_key, properties, body)
        except AMQPError:  # the channel has just ended, or the name with the instance is too long
            return
        self._pending.ledger.skip()

    def pauses_over(self, calls: list[Call]) -> None:
        """The pauses of calls are over: make their next attempts."""
        for call in calls:
            if call.state is CallState.PAUSED:
                self.send(call, self._clock.seconds())

    def fail_waiting(self, error: Callable[[Call], RPCError]) -> None:
        """End the attempts of calls that wait for a channel, each with its error."""
        for call in self._pending.take_waiting():
            if call.state is CallState.WAITING_FOR_CHANNEL:
                self.fail(call, error(call))
