"""The reconnecting link to the broker, shared by clients and workers.

Twisted's ``ClientService`` keeps the connection: it tries the hosts of the URI in turn, with exponential backoff and
jitter. The link adds channels. Each user gets one for as long as there is a connection, gets a new one after a loss,
and declares and consumes anew each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from threading import get_ident
from typing import Any, Final

from twisted.application.internet import ClientService
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from rpc import log
from rpc.amqp.codec.spec import load_definition
from rpc.amqp.endpoint import BrokerEndpoint
from rpc.amqp.protocol import AMQPConnection
from rpc.attachment import Attachment
from rpc.backoff import ConnectionBackoff
from rpc.envelope import MAX_MESSAGE_SIZE
from rpc.errors import AMQPError
from rpc.instance import instance_name
from rpc.interfaces import IChannelUser
from rpc.observers import tell_all
from rpc.refusals import is_permanent
from rpc.secret_watch import SecretWatch
from rpc.uri import BrokerURI

NOT_YET: Final = "not connected yet"
"""The problem of a link that has begun to connect."""

WITHOUT_CONFIRMS = (
    ": oneway calls fail at once, because their callers could not be told that the broker has them; a call that a full "
    "queue rejects (backlog) ends at its deadline; requests that no queue takes are returned as always"
)


class Link(Service):
    """One connection to the broker, made again whenever it is lost, from ``startService`` to ``stopService``.

    :ivar connection: the open connection, or ``None``.
    :ivar thread: the reactor's thread (``threading.get_ident``), once there was a connection; before, ``None``.
    :ivar refusal: why there is no connection, when each host was tried and one has refused it for good; else ``None``.
    :ivar definition: the version of AMQP.
    :ivar max_content: bytes of a delivery's body, at most; see :meth:`allow`.
    :ivar observers: told of connections, their losses, and blocked times; see :class:`rpc.observers.IObserver`.
    """

    def __init__(
        self,
        reactor: Any,
        uri: BrokerURI,
        role: str,
        on_refused: Callable[[AMQPError], None] | None = None,
        spec: str | os.PathLike[str] | None = None,
    ) -> None:
        """
        :param role: ``"client"`` or ``"worker"``: with the instance, the connection's name at the broker.
        :param on_refused: called with each error after which another attempt is of no use (:mod:`rpc.refusals`): of a
            channel, or of a host when all hosts were tried and none accepted. The link tries again all the same.
        :param spec: the version of AMQP: see :func:`~rpc.amqp.codec.spec.load_definition`.
        :raises ConfigurationError: a file of the URI, or that of `spec`, cannot be read or used.
        """
        self.definition = load_definition(spec)
        self._reactor = reactor
        self._on_refused = on_refused
        self.refusal: AMQPError | None = None
        self._host_refusal: AMQPError | None = None  # in this round
        self._hosts_tried = 0  # in this round
        self._attachments: dict[IChannelUser, Attachment] = {}
        self.connection: AMQPConnection | None = None
        self.thread: int | None = None
        self.max_content = MAX_MESSAGE_SIZE
        self._told_what_is_missing = False
        self.observers: list[Any] = []
        self._is_blocked = False
        self._connected_at = 0.0
        self._problem: str | None = NOT_YET
        self._endpoint = BrokerEndpoint(
            reactor, uri, lambda: f"{role} {self.instance}", self._not_connected, self.definition
        )
        self._backoff = ConnectionBackoff(lambda: len(self._endpoint.uri.hosts))
        self._secrets: SecretWatch | None = None  # of the open connection
        self._client = ClientService(
            self._endpoint,
            Factory.forProtocol(lambda: _Session(self._connected, self._disconnected)),
            retryPolicy=self._backoff,
            clock=reactor,
        )

    @cached_property
    def instance(self) -> str:
        """The unique name of this process on the link. Made when it is first used, because twistd may fork before."""
        return instance_name()

    @property
    def problem(self) -> str | None:
        """Why there is no connection, or why a user has no channel, in words; ``None`` when all is well."""
        return self._problem or next((each.problem for each in self._attachments.values() if each.problem), None)

    def startService(self) -> None:
        """Begin to connect."""
        super().startService()
        self.refusal = None
        self._begin_round()
        self._client.startService()

    def stopService(self) -> Deferred[None]:
        """Close the connection cleanly. Fires when it is gone."""
        super().stopService()
        for attachment in self._attachments.values():
            attachment.stop()
        stopped: Deferred[None] = maybeDeferred(self._client.stopService)
        return stopped.addBoth(self._next_turn)

    def when_connected(self) -> Deferred[None]:
        """Wait for a connection.

        :return: fires with the first connection. Fails with the :class:`~rpc.errors.AMQPError` of the last host when
            all hosts were tried once in vain, and with ``CancelledError`` when the link is stopped.
        """
        connected = self._client.whenConnected(failAfterFailures=len(self._endpoint.uri.hosts))
        return connected.addCallback(lambda _: None).addBoth(self._next_turn)

    def _next_turn(self, result: Any) -> Deferred[Any]:
        """Pass `result` on in the next reactor turn. ClientService raises when a callback of its change of
        state stops the service.
        """
        turn: Deferred[Any] = Deferred()
        self._reactor.callLater(0, turn.callback, result)
        return turn

    def allow(self, size: int) -> None:
        """Take deliveries with bodies of up to `size` bytes, for an option ``max_message_size``. The largest counts."""
        if size > self.max_content:
            self.max_content = size
            if self.connection is not None:
                self.connection.max_content = size

    def attach(self, user: IChannelUser) -> None:
        """Give `user` a channel whenever there is a connection, beginning now."""
        attachment = self._attachments[user] = Attachment(self._reactor, user, self._channel_lost)
        if self.connection is not None:
            attachment.open(self.connection)

    def detach(self, user: IChannelUser) -> Deferred[None]:
        """Close the channel of `user`, without a call of its ``lost``. Fires when the channel is closed."""
        attachment = self._attachments.pop(user, None)
        return succeed(None) if attachment is None else attachment.close()

    def hurry(self, user: IChannelUser) -> None:
        """Shorten the pause before the next channel of `user` to half a second: there is something to do on it."""
        attachment = self._attachments.get(user)
        if attachment is not None:
            attachment.hurry()

    def _connected(self, connection: AMQPConnection) -> None:
        self.connection = connection
        self.thread = get_ident()
        self._connected_at = self._reactor.seconds()
        if self._problem is not NOT_YET:  # the log says that there was none
            log.msg(f"connection to {self._endpoint.uri} is open again")
        self._problem = self.refusal = None
        self._tell_what_is_missing()
        self._begin_round()
        connection.max_content = self.max_content
        connection.on_blocked = self._blocked
        self._secrets = SecretWatch(self._reactor, self._endpoint.uri, connection)
        self._secrets.start()
        tell_all(self.observers, "connected")
        for attachment in list(self._attachments.values()):
            attachment.open(connection)

    def _tell_what_is_missing(self) -> None:
        """Log once which extensions the version of AMQP lacks, and the effect on calls."""
        definition = self.definition
        if definition.missing and not self._told_what_is_missing:
            self._told_what_is_missing = True
            effects = WITHOUT_CONFIRMS if not definition.has_confirms else ""
            log.warn(f"{definition.name}, as the option spec defines it, has no {definition.missing}{effects}")

    def _blocked(self, reason: str | None) -> None:
        self._tell_blocked(reason)
        for user in list(self._attachments):
            user.blocked(reason)

    def _tell_blocked(self, reason: str | None) -> None:
        if self._is_blocked is not (reason is not None):
            self._is_blocked = reason is not None
            tell_all(self.observers, "blocked", reason)

    def _disconnected(self, reason: BaseException | None) -> None:
        self.connection = None
        self._tell_blocked(None)
        tell_all(self.observers, "disconnected")
        secrets, self._secrets = self._secrets, None
        if secrets is not None:
            secrets.stop()
        self._backoff.ended(self._reactor.seconds() - self._connected_at)
        self._problem = str(reason)
        if self.running:
            log.warn(f"connection to {self._endpoint.uri} lost: {reason}")

    def _not_connected(self, error: AMQPError) -> None:
        self._problem = str(error)
        log.warn(f"no connection to {self._endpoint.uri}: {error}")
        self._hosts_tried += 1
        if is_permanent(error):
            self._host_refusal = error
        if self._hosts_tried >= len(self._endpoint.uri.hosts):
            refusal = self.refusal = self._host_refusal
            self._begin_round()
            if refusal is not None:
                self._refused(refusal)
                for user in list(self._attachments):
                    user.refused(refusal)

    def _begin_round(self) -> None:
        """Begin to try each host once."""
        self._host_refusal = None
        self._hosts_tried = 0

    def _channel_lost(self, reason: BaseException | None) -> None:
        if isinstance(reason, AMQPError) and is_permanent(reason):
            self._refused(reason)

    def _refused(self, error: AMQPError) -> None:
        if self._on_refused is not None:
            self._on_refused(error)


class _Session(Protocol):
    """The protocol that ``ClientService`` gets for an open AMQP connection, which is its transport."""

    def __init__(
        self, connected: Callable[[AMQPConnection], None], disconnected: Callable[[BaseException | None], None]
    ) -> None:
        self._connected = connected
        self._disconnected = disconnected

    def connectionMade(self) -> None:
        connection: Any = self.transport
        self._connected(connection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._disconnected(reason.value)
