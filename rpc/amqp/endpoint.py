"""From a broker URI to an open connection: the hosts in turn, TLS, the AMQP handshake.

It is a Twisted endpoint, so that ``ClientService`` can do the reconnecting. It connects no socket but an open
:class:`~rpc.amqp.protocol.AMQPConnection`: the factory's protocol gets that as its transport.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc import log
from rpc.amqp.codec.spec import Definition
from rpc.amqp.delegate import Credentials
from rpc.amqp.protocol import AMQPConnection
from rpc.amqp.tls import ClientTLS
from rpc.broker_address import current
from rpc.errors import AMQPError, BrokerUnreachable, ClosedByBroker, ConfigurationError, FrameError
from rpc.interfaces import IClock
from rpc.uri import BrokerURI, host_and_port


class _Quiet(Factory):
    """Gives one protocol, and logs neither its start nor its end."""

    noisy = False

    def __init__(self, connection: AMQPConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: IAddress | None) -> AMQPConnection:
        return self._connection


@implementer(IStreamClientEndpoint)
class BrokerEndpoint:
    """Connects to the next host of a URI at each attempt, with the passwords and certificates that its files then have.

    :ivar uri: the URI, with the values of the last attempt.
    """

    def __init__(
        self,
        reactor: Any,
        uri: BrokerURI,
        name: Callable[[], str],
        on_failure: Callable[[AMQPError], None],
        definition: Definition | None = None,
    ) -> None:
        """
        :param reactor: provides ``IReactorTime``, ``IReactorPluggableNameResolver`` and ``IReactorTCP``.
        :param name: gives the connection's name, which the broker's operators see.
        :param on_failure: told why an attempt failed, beside the attempt's own Deferred.
        :param definition: the version of AMQP; 0-9-1 unless it is given.
        :raises ConfigurationError: a file of the URI cannot be read or used.
        """
        self._reactor = reactor
        self._definition = definition
        self._name = name
        self._on_failure = on_failure
        self.uri = current(uri)
        self._hosts = cycle(self.uri.hosts)
        self._tls = ClientTLS(self.uri) if self.uri.tls else None

    def __repr__(self) -> str:
        """The broker, as in our own log lines: ``ClientService`` logs its endpoint before each retry."""
        return str(self.uri)

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, log in and open the virtual host; then give the connection to a protocol of `factory`.

        :return: fires with the protocol. Fails with an :class:`~rpc.errors.AMQPError` that names host and cause, and
            with ``CancelledError`` when cancelled.
        """
        try:
            self._read_files()
        except ConfigurationError as error:
            return fail(self._told(BrokerUnreachable(str(error))))
        host, port = next(self._hosts)
        where = f"{host_and_port(host, port)}{' (TLS)' if self._tls else ''}"
        try:
            handshake = self._tls.handshake_with(host) if self._tls else None
        except BrokerUnreachable as error:
            return fail(self._told(_explain(Failure(error), where, None)))
        connection = new_connection(self._reactor, self.uri, self._name(), self._definition)
        cancelled = False

        def cancel(_: Deferred[IProtocol]) -> None:
            nonlocal cancelled
            cancelled = True
            connected.cancel()

        def explain(failure: Failure) -> Failure:
            if connection.connected:
                connection.transport.abortConnection()
            # A HostnameEndpoint that is cancelled in a lookup says that there is no such host.
            if cancelled:
                return Failure(CancelledError())
            return Failure(self._told(_explain(failure, where, handshake.problem if handshake else None)))

        def settle(result: IProtocol | Failure) -> None:
            if not cancelled:  # on_failure may have cancelled the attempt
                handed_over.callback(result)  # a Failure runs the errbacks

        protocols: Any = _Quiet(connection)
        if handshake:  # Twisted's wrapClientTLS 24.11 has no clock, and writes by the timers of the global reactor
            protocols = TLSMemoryBIOFactory(handshake, True, protocols, clock=self._reactor)
        endpoint = HostnameEndpoint(self._reactor, host, port)
        connected: Deferred[Any] = maybeDeferred(endpoint.connect, protocols)
        connected.addCallback(lambda _: connection.ready)
        connected.addTimeout(self.uri.connection_timeout, self._reactor, onTimeoutCancel=_timed_out)
        connected.addErrback(explain)
        connected.addCallback(_hand_over, factory)
        handed_over: Deferred[IProtocol] = Deferred(cancel)
        connected.addBoth(settle)
        return handed_over

    def _read_files(self) -> None:
        uri = current(self.uri)
        if uri.hosts != self.uri.hosts:
            self._hosts = cycle(uri.hosts)
        if not uri.tls:
            self._tls = None
        elif self._tls is None or not self._tls.is_current(uri):
            self._tls = ClientTLS(uri)
        self.uri = uri

    def _told(self, error: AMQPError) -> AMQPError:
        self._on_failure(error)
        return error


def _explain(failure: Failure, where: str, problem: str | None) -> AMQPError:
    """Return the error that names the host; an error of the broker keeps its class and code.

    :param problem: why the server's certificate was refused, if it was.
    """
    error = failure.value
    if isinstance(error, (ClosedByBroker, FrameError)):
        return type(error)(error.code, f"{where}: {error.text}")
    words = f"certificate verify failed: {problem}" if problem else _words(failure)
    return BrokerUnreachable(f"{where}: {words}")


def new_connection(clock: IClock, uri: BrokerURI, name: str, definition: Definition | None = None) -> AMQPConnection:
    """Return a connection with the values of `uri`, not connected yet."""
    return AMQPConnection(
        clock,
        Credentials(uri.username, uri.password, uri.auth_mechanism),
        uri.vhost,
        name=name,
        heartbeat=uri.heartbeat,
        channel_max=uri.channel_max,
        frame_max=uri.frame_max,
        send_buffer_max=uri.send_buffer_max,
        definition=definition,
    )


def _words(failure: Failure) -> str:
    """Return the system's words for a failed connect, without Twisted's repetition of them."""
    error = failure.value
    own = str(error.args[0]) if isinstance(error, ConnectError) and error.args else ""
    return own or failure.getErrorMessage()


def _timed_out(result: object, seconds: float) -> None:
    raise BrokerUnreachable(f"no answer within {seconds:g} s")


def _hand_over(connection: AMQPConnection, factory: Any) -> Any:
    protocol = factory.buildProtocol(None)

    def ended(_: object) -> None:
        try:
            protocol.connectionLost(Failure(connection.reason))
        except Exception:  # the next callbacks are those of close()
            log.err(None, "while telling a protocol that its connection has ended")

    protocol.makeConnection(connection)
    connection.ended.addCallback(ended)
    return protocol
