"""Shared by the verbs that use a broker: the option ``--broker``, a run of the reactor, and the words for errors."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO

import attrs
import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as ConnectTimedOut
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure

from rpc import errors
from rpc.amqp.endpoint import BrokerEndpoint
from rpc.amqp.protocol import AMQPConnection
from rpc.amqp.tls import ClientTLS
from rpc.broker_address import DEFAULT_BROKER, Origin, resolve
from rpc.client.connection import Connection, connect
from rpc.client.options import DEFAULT_TIMEOUT
from rpc.instance import instance_name
from rpc.keys import Keys, as_keys
from rpc.monotonic import use_monotonic_time
from rpc.printable import printable
from rpc.uri import BrokerURI

MEANINGS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (errors.ServiceUnavailable, "service unavailable"),
    (errors.Overloaded, "service overloaded"),
    (errors.CallTimedOut, "timed out"),
    (errors.WorkerLost, "worker lost"),
    (errors.ConnectionLost, "connection lost"),
    (errors.BrokerBlocked, "broker blocked"),
    (errors.AccessDenied, "access denied"),
    (errors.MessageTooLarge, "message too large"),
    (errors.InvalidRequest, "wrong argument"),
    (errors.InvalidReply, "invalid reply"),
    (errors.RPCError, "call failed"),
    (errors.AuthenticationFailed, "login refused"),
    (errors.VirtualHostRefused, "virtual host refused"),
    (errors.BrokerUnreachable, "broker unreachable"),
    (errors.ConnectionClosed, "connection lost"),
    (errors.HeartbeatMissed, "connection lost"),
    (errors.AMQPError, "broker"),
    (errors.ConfigurationError, "not possible"),
)
"""The words for an error: those of the first class that it is an instance of."""

KNOWN: Final = tuple(kind for kind, _ in MEANINGS)


def checked_broker(_: click.Context, __: click.Parameter, value: str | None) -> BrokerURI:
    """Return the broker's address, which is printed without its password. Its files can be read."""
    try:
        broker = resolve(Origin.ENVIRONMENT if value is None else value)
        if broker.tls:
            ClientTLS(broker)
        return broker
    except errors.ConfigurationError as error:
        problem = str(error)
    del value  # no traceback shows it
    raise click.BadParameter(problem)


BROKER_HELP: Final = (
    "amqp://user:password@host:5672/vhost, or amqps://; several hosts with commas. Every user of the machine can "
    "read a password here: write password_file=PATH as a parameter of the URL instead. Default: the URL of the "
    "environment variable RPC_BROKER, or of the file that the variable RPC_BROKER_FILE names, or "
    f"{DEFAULT_BROKER}."
)

broker_option: Final = click.option("--broker", metavar="URL", callback=checked_broker, help=BROKER_HELP)


def _checked_keys(_: click.Context, __: click.Parameter, value: str | None) -> Keys | None:
    try:
        return as_keys(value)
    except errors.ConfigurationError as error:
        raise click.BadParameter(str(error)) from None


def keys_option(purpose: str) -> Callable[[Any], Any]:
    """Return the option ``--keys``."""
    return click.option("--keys", metavar="PATH", callback=_checked_keys, help=purpose)


def run(work: Callable[[Any], Coroutine[Any, Any, Any]], log_file: TextIO | None = None) -> Any:
    """Run the reactor until the coroutine of `work` ends. Returns its result, or raises its error.

    :param work: called with the reactor. Its coroutine is cancelled when a signal stops the reactor.
    :param log_file: gets the lines of the log; default: nothing does.
    :raises click.Abort: a signal came.
    """
    outcome: list[Any] = []

    def begin(reactor: Any) -> Deferred[None]:
        use_monotonic_time(reactor)
        working = Deferred.fromCoroutine(work(reactor))
        ended = working.addBoth(outcome.append)

        def interrupt() -> Deferred[None]:
            working.cancel()  # without effect after its end, which also stops the reactor
            return ended

        reactor.addSystemEventTrigger("before", "shutdown", interrupt)
        return ended

    # Errors are reported once, in words. Without an observer Twisted would print them itself.
    observers = [] if log_file is None else [textFileLogObserver(log_file)]
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False, discardBuffer=True)
    with suppress(SystemExit):  # react ends with it
        react(begin)
    (result,) = outcome
    if not isinstance(result, Failure):
        return result
    if result.check(CancelledError):
        raise click.Abort
    return result.raiseException()


def run_connected(
    broker: BrokerURI,
    timeout: float | None,
    work: Callable[[Connection, float | None], Deferred[Any]],
    interceptors: Iterable[Any] = (),
) -> Any:
    """Run the reactor: connect, do `work`, and disconnect. Returns the result of `work`, or raises its error.

    :param timeout: seconds for connecting and work together. ``None``: 30 for connecting, and the work has its own.
    :param work: called with the connection and the seconds that are left of `timeout`.
    :param interceptors: of the connection's calls.
    :raises AMQPError: no host of `broker` accepts the connection.
    :raises click.Abort: a signal came.
    """

    async def connected(reactor: Any) -> Any:
        began = reactor.seconds()
        limit = timeout or DEFAULT_TIMEOUT
        try:
            connection = await connect(broker, interceptors=interceptors, reactor=reactor).addTimeout(limit, reactor)
        except ConnectTimedOut as error:
            raise errors.BrokerUnreachable(f"no answer within {limit:g} s") from error
        try:
            left = None if timeout is None else max(timeout - (reactor.seconds() - began), 0.001)
            return await work(connection, left)
        finally:
            await connection.close()

    return run(connected)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Turn the :data:`KNOWN` errors into messages without a traceback, and into the exit status 1."""
    try:
        yield
    except KNOWN as error:
        raise click.ClickException(printable(meaning(error))) from error  # one line: a peer may have written more


class WrongCommandLine(click.ClickException):
    """A word of the command line is wrong: exit status 2, as for a wrong option."""

    exit_code = 2


@contextmanager
def command_line_errors() -> Iterator[None]:
    """Turn the :data:`KNOWN` errors of reading a command line into messages, and into the exit status 2."""
    try:
        yield
    except KNOWN as error:
        raise WrongCommandLine(meaning(error)) from error


async def open_connection(reactor: Any, broker: BrokerURI, role: str) -> AMQPConnection:
    """Return a connection to the first host of a URL that accepts it. It does not reconnect: a command ends instead.

    :param role: the start of the connection's name, which the broker's operators see; the process's name follows.
    :raises AMQPError: no host accepted the connection; the error is that of the last host.
    """
    # A command has its own limit for unsent bytes. It connects once, so no file of the URL is read anew.
    where = attrs.evolve(broker, send_buffer_max=0, url_file=None)
    endpoint = BrokerEndpoint(reactor, where, lambda: f"{role} {instance_name()}", lambda _: None)
    for hosts_left in reversed(range(len(where.hosts))):
        try:
            session = await endpoint.connect(Factory.forProtocol(Protocol))
        except errors.AMQPError:
            if not hosts_left:
                raise
        else:
            break
    connection: Any = session.transport  # type: ignore[attr-defined]  # zope's interface does not have it
    assert isinstance(connection, AMQPConnection)
    return connection


def meaning(error: Exception) -> str:
    """Return one of the :data:`KNOWN` errors in words, with the outcome of a call."""
    words = next(words for kind, words in MEANINGS if isinstance(error, kind))
    if isinstance(error, errors.ClosedByBroker) and not error.code:  # the connection ended without a reply code
        return f"{words}: {error.text}"
    outcome = f" ({error.outcome.in_words})" if isinstance(error, errors.RPCError) else ""
    return f"{words}: {error}{outcome}"
