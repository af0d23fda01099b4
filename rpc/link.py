"""The reconnecting link to the broker, shared by clients and workers.

Twisted's ``ClientService`` keeps the connection: it tries the hosts of the URI in turn, with exponential backoff and
jitter. What the link adds is channels: each user gets one for as long as there is a connection, and a new one after a
loss, and does its declaring and consuming anew each time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from twisted.application.internet import ClientService, backoffPolicy
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python import log
from twisted.python.failure import Failure

from rpc.amqp.channel import Channel
from rpc.amqp.endpoint import BrokerEndpoint
from rpc.amqp.protocol import AMQPConnection
from rpc.errors import AMQPError
from rpc.instance import instance_name
from rpc.interfaces import IChannelUser
from rpc.uri import BrokerURI

retry_delay = backoffPolicy(initialDelay=0.2, maxDelay=15.0, factor=1.7)
"""Seconds before the n-th attempt in a row: 0.3 to 1.3 s before the first, at most 16 s."""

FIRST_RETRY = 0.2
"""Seconds at most until a channel is opened again for the first time: a queue was deleted, most often."""

STEADY = 10.0
"""Seconds that a channel must have lasted for the next one to be opened without the delays of the failures before."""


def retry_policy(hosts: int) -> Callable[[int], float]:
    """Return the delays for a broker of so many hosts: each is tried in turn at once, or nearly, lest all clients of a
    node that died come in the same instant; the backoff is between the rounds.
    """

    def delay(attempt: int) -> float:
        whole_rounds, begun = divmod(attempt, hosts)
        return random.uniform(0, 0.2) if begun else retry_delay(whole_rounds)

    return delay


class Link(Service):
    """One connection to the broker, made again whenever it is lost, from ``startService`` to ``stopService``.

    :ivar connection: the open connection, or ``None``.
    """

    def __init__(self, reactor: Any, uri: BrokerURI, role: str) -> None:
        """
        :param role: ``"client"`` or ``"worker"``; with the instance it is what the broker's operators see.
        :raises ConfigurationError: a certificate file of the URI cannot be read.
        """
        self._reactor = reactor
        self._uri = uri
        self._users: dict[IChannelUser, _Use] = {}
        self.connection: AMQPConnection | None = None
        self._problem: str | None = "not connected yet"
        self._client = ClientService(
            BrokerEndpoint(reactor, uri, lambda: f"{role} {self.instance}", self._not_connected),
            Factory.forProtocol(lambda: _Session(self)),
            retryPolicy=retry_policy(len(uri.hosts)),
            clock=reactor,
        )

    @cached_property
    def instance(self) -> str:
        """The unique name of this end of the link. Not made before it is used: twistd may fork until then."""
        return instance_name()

    @property
    def problem(self) -> str | None:
        """What stands in the way just now, in words: of the connection, or of a user's channel; or ``None``."""
        return self._problem or next((use.problem for use in self._users.values() if use.problem), None)

    def startService(self) -> None:
        """Begin to connect."""
        super().startService()
        self._client.startService()

    def stopService(self) -> Deferred[None]:
        """Close the connection cleanly. Fires when it is gone."""
        super().stopService()
        for use in self._users.values():
            use.cancel_retry()
        stopped: Deferred[None] = maybeDeferred(self._client.stopService)
        return stopped.addBoth(self._next_turn)

    def when_connected(self) -> Deferred[None]:
        """Fires with the first connection; fails with the :class:`~rpc.errors.AMQPError` of the last host when all
        hosts were tried once in vain, and with ``CancelledError`` when the link is stopped.
        """
        connected = self._client.whenConnected(failAfterFailures=len(self._uri.hosts))
        return connected.addCallback(lambda _: None).addBoth(self._next_turn)

    def _next_turn(self, result: Any) -> Deferred[Any]:
        """ClientService's changes of state do not nest, so who waits for one must not be told within it: to stop the
        link is what one may do next.
        """
        turn: Deferred[Any] = Deferred()
        self._reactor.callLater(0, turn.callback, result)
        return turn

    def attach(self, user: IChannelUser) -> None:
        """Give `user` a channel whenever there is a connection, beginning now."""
        use = self._users[user] = _Use(self, user)
        if self.connection is not None:
            use.open(self.connection)

    def detach(self, user: IChannelUser) -> Deferred[None]:
        """Close the channel of `user`, without a call of its ``lost``. Fires when it is closed; again does nothing."""
        use = self._users.pop(user, None)
        return succeed(None) if use is None else use.close()

    def _connected(self, connection: AMQPConnection) -> None:
        self.connection = connection
        self._problem = None
        connection.on_blocked = self._blocked
        for use in list(self._users.values()):
            use.open(connection)

    def _blocked(self, reason: str | None) -> None:
        for user in list(self._users):
            user.blocked(reason)

    def _disconnected(self, reason: Any) -> None:
        self.connection = None
        self._problem = str(reason)
        if self.running:
            log.msg(f"connection to {self._uri} lost: {reason}")

    def _not_connected(self, error: AMQPError) -> None:
        self._problem = str(error)
        log.msg(f"no connection to {self._uri}: {error}")


class _Use:
    """One user's channel, and the attempt to open it again.

    :ivar problem: why the user has no channel, while there is a connection.
    """

    def __init__(self, link: Link, user: IChannelUser) -> None:
        self._link = link
        self._user = user
        self._channel: Channel | None = None
        self._failures = 0
        self._retry: IDelayedCall | None = None
        self._ready_at: float | None = None
        self._detached = False
        self.problem: str | None = None

    def open(self, connection: AMQPConnection) -> None:
        self.cancel_retry()
        connection.open_channel().addCallbacks(self._hand_over, self._not_opened)

    def close(self) -> Deferred[None]:
        self._detached = True
        self.cancel_retry()
        channel, self._channel = self._channel, None
        return succeed(None) if channel is None else channel.close()

    def cancel_retry(self) -> None:
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        self._retry = None

    def _not_opened(self, failure: Failure) -> None:
        self._retry_later(failure.value)

    def _hand_over(self, channel: Channel) -> None:
        if self._detached:
            channel.close()
            return
        self._channel = channel
        channel.on_closed = partial(self._lost, channel)
        opened = maybeDeferred(self._user.opened, channel)
        opened.addCallbacks(self._ready, self._not_ready, callbackArgs=(channel,), errbackArgs=(channel,))

    def _ready(self, _: object, channel: Channel) -> None:
        if self._channel is channel:
            self._ready_at = self._link._reactor.seconds()
            self.problem = None

    def _not_ready(self, failure: Failure, channel: Channel) -> None:
        """Setting up went wrong. A channel that is still open is no use; losing it leads to a retry."""
        if not failure.check(AMQPError):
            log.err(failure, "while setting up a channel")
        reason: Any = failure.value
        channel.abandon(reason)  # which comes back as _lost, unless the broker closed it before

    def _lost(self, channel: Channel, reason: Any) -> None:
        if self._channel is not channel:
            return
        self._channel = None
        self._retry_later(reason)
        self._user.lost(reason)

    def _retry_later(self, reason: Any) -> None:
        """With the connection gone there is nothing to do: a new one opens all channels."""
        connection = self._link.connection
        if connection is None or connection.closed or self._detached or not self._link.running:
            return
        if self._ready_at is not None and self._link._reactor.seconds() - self._ready_at > STEADY:
            self._failures = 0
        self._ready_at = None
        self._failures += 1
        delay = random.uniform(0, FIRST_RETRY) if self._failures == 1 else retry_delay(self._failures)
        self.problem = str(reason)
        log.msg(f"channel lost, again in {delay:.1f} s: {reason}")
        self._retry = self._link._reactor.callLater(delay, self.open, connection)


class _Session(Protocol):
    """What ``ClientService`` sees of an open AMQP connection."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def connectionMade(self) -> None:
        connection: Any = self.transport
        self._link._connected(connection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._link._disconnected(reason.value)
