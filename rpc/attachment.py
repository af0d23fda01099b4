"""One user's channel: opened on each connection, and opened again when it is lost.

Every step has a time limit. A broker may answer heartbeats and nothing else. The user must not wait for its channel for
ever then, without a log line.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorCore
from twisted.python.failure import Failure

from rpc import log
from rpc.amqp.answer_limit import ANSWER_LIMIT, AnswerLimit
from rpc.amqp.channel import Channel
from rpc.amqp.protocol import AMQPConnection
from rpc.backoff import LEAST_PAUSE, ChannelBackoff
from rpc.errors import AMQPError
from rpc.interfaces import IChannelUser


class State(enum.Enum):
    """Where the user's channel is.

    ========== ======================================= ==========
    from       when                                    to
    ========== ======================================= ==========
    any        there is a connection, or a retry       OPENING
    OPENING    channel.open-ok                         SETTING_UP
    SETTING_UP the user's ``opened`` has fired         READY
    any        the channel is lost, refused or overdue WAITING
    any        the connection is lost; stop, detach    IDLE
    ========== ======================================= ==========
    """

    IDLE = "idle"
    """There is no connection, or the link was stopped, or the user has left: no channel is opened."""

    OPENING = "opening"
    """``channel.open`` was sent."""

    SETTING_UP = "setting up"
    """The user's ``opened`` was called, and its Deferred has not fired."""

    READY = "ready"
    """The user has set the channel up."""

    WAITING = "waiting"
    """The channel was lost; a timer opens the next one."""


class Attachment:
    """The channel of one user.

    :ivar problem: why the user has no channel that is set up, while there is a connection; else ``None``.
    """

    def __init__(self, clock: Any, user: IChannelUser, on_loss: Callable[[BaseException | None], None]) -> None:
        """
        :param clock: the reactor, or a ``Clock``.
        :param on_loss: called with the reason whenever a channel is lost, or not opened, on an open connection.
        """
        self._clock = clock
        self._user = user
        self._on_loss = on_loss
        self._state = State.IDLE
        self._connection: AMQPConnection | None = None
        self._channel: Channel | None = None
        self._timer: IDelayedCall | None = None  # while WAITING
        self._limit: AnswerLimit | None = None  # while OPENING or SETTING_UP
        self._set_up: Deferred[None] | None = None  # of the user, while SETTING_UP
        self._backoff = ChannelBackoff()
        self._ready_since = 0.0
        self._in_running_reactor = False
        self._lost_at = 0.0
        self._logged: str | None = None  # the reason of the last loss, since a channel was ready
        self.problem: str | None = None

    def open(self, connection: AMQPConnection) -> None:
        """Open a channel on `connection`, now and again whenever it is lost, until :meth:`stop`."""
        self._connection = connection
        # Not so in memory, or when another event loop calls the reactor.
        self._in_running_reactor = IReactorCore.providedBy(self._clock) and bool(self._clock.running)
        self._enter(State.OPENING)
        self._limit = AnswerLimit(self._clock, connection, partial(self._open_is_overdue, connection), self._blocked)
        connection.open_channel().addCallbacks(
            self._opened, self._not_opened, callbackArgs=(connection,), errbackArgs=(connection,)
        )

    def stop(self) -> None:
        """Open no other channel. The present one is left to the end of its connection."""
        self._enter(State.IDLE)

    def hurry(self) -> None:
        """Open the next channel soon, but not within half a second of the last: there is something to do on it."""
        if self._state is State.WAITING and self._timer is not None:
            soon = max(0.0, self._lost_at + LEAST_PAUSE - self._clock.seconds())
            if self._timer.getTime() > self._clock.seconds() + soon:
                self._timer.reset(soon)

    def close(self) -> Deferred[None]:
        """Close the channel without a call of the user's ``lost``, and open no other. Fires when it is closed."""
        self._enter(State.IDLE)
        channel, self._channel = self._channel, None
        return succeed(None) if channel is None else self._close(channel)

    def _enter(self, state: State) -> None:
        self._state = state
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        limit, self._limit = self._limit, None
        if limit is not None:
            limit.cancel()
        set_up, self._set_up = self._set_up, None
        if set_up is not None:  # it may wait for more than the user's channel
            set_up.cancel()

    # -- opening and setting up

    def _opened(self, channel: Channel, connection: AMQPConnection) -> None:
        if self._state is not State.OPENING or self._connection is not connection:
            self._close(channel)
            return
        self._channel = channel
        channel.on_closed = partial(self._lost, channel)
        self._enter(State.SETTING_UP)
        self._limit = AnswerLimit(self._clock, connection, partial(self._setup_is_overdue, channel), self._blocked)
        set_up = self._set_up = maybeDeferred(self._user.opened, channel)
        set_up.addCallbacks(self._ready, self._not_ready, callbackArgs=(channel,), errbackArgs=(channel,))

    def _not_opened(self, failure: Failure, connection: AMQPConnection) -> None:
        if self._connection is connection:
            self._retry(failure.value, 0.0)

    def _ready(self, _: object, channel: Channel) -> None:
        if self._channel is channel and self._state is State.SETTING_UP:
            self._enter(State.READY)
            self._ready_since = self._clock.seconds()
            self.problem = self._logged = None

    def _not_ready(self, failure: Failure, channel: Channel) -> None:
        """Close the channel, which is of no use. Its loss leads to a retry. Nothing more when the link has ended it."""
        if not failure.check(AMQPError, CancelledError):
            log.err(failure, "while setting up a channel")
        if self._channel is not channel or self._state is not State.SETTING_UP:
            return
        reason: Any = failure.value
        if not channel.closed:
            self._close(channel, reason)

    # -- time limits

    def _blocked(self, reason: str) -> None:
        if self._state is not State.READY:  # a channel before the present one may still be closing
            self.problem = f"the broker is blocked: {reason}"

    def _open_is_overdue(self, connection: AMQPConnection) -> None:
        """End the connection. RabbitMQ answers ``channel.open`` in the process that reads the socket: when that does
        not answer, no channel of the connection works.
        """
        connection.hang_up(AMQPError(f"the broker has not answered channel.open for {ANSWER_LIMIT:g} s"))

    def _setup_is_overdue(self, channel: Channel) -> None:
        self._close(channel, AMQPError(f"a channel was not set up within {ANSWER_LIMIT:g} s"))

    def _close(self, channel: Channel, reason: Exception | None = None) -> Deferred[None]:
        """Close `channel`, with a call of :meth:`_lost` when there is a `reason`.

        If the broker does not answer within the limit, the connection is ended: otherwise each retry would take another
        channel number.

        :return: fires when the channel is closed; never fails.
        """
        closed = channel.close() if reason is None else channel.abandon(reason)
        late = AMQPError(f"the broker has not answered channel.close for {ANSWER_LIMIT:g} s")
        limit = AnswerLimit(self._clock, channel.client, partial(channel.client.hang_up, late), self._blocked)

        def settled(result: Any) -> Any:
            limit.cancel()
            return result

        return closed.addBoth(settled)

    # -- losses

    def _lost(self, channel: Channel, reason: Exception) -> None:
        if self._channel is not channel or self._program_ends():
            return
        self._channel = None
        self._retry(reason, self._clock.seconds() - self._ready_since if self._state is State.READY else 0.0)
        self._user.lost(reason)

    def _program_ends(self) -> bool:
        """Whether the channel was lost because the reactor stops, which closes all sockets.

        The user is not told then. After Ctrl-C in a program that ``react`` runs, each pending call would fail, and its
        traceback would be printed. Services that are to end in order are stopped before that.
        """
        return self._in_running_reactor and not self._clock.running

    def _retry(self, reason: BaseException | None, lasted: float) -> None:
        """Open another channel after a delay. Not on a lost connection: the next connection opens one."""
        connection = self._connection
        if self._state is State.IDLE or connection is None:
            return
        self._enter(State.IDLE)
        if connection.closed:
            return
        delay = self._backoff.ended(lasted)
        self.problem = str(reason)
        if self.problem != self._logged:
            self._logged = self.problem
            log.warn(f"channel lost, another one is opened in {delay:.1f} s: {reason}")
        self._lost_at = self._clock.seconds()
        self._enter(State.WAITING)
        self._timer = self._clock.callLater(delay, self.open, connection)
        self._on_loss(reason)
