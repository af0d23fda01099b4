"""What verbs that speak to a broker share: where it is, a run of the reactor, and errors told by what they mean."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure

from rpc import errors, uri
from rpc.amqp.endpoint import BrokerEndpoint
from rpc.amqp.protocol import AMQPConnection
from rpc.instance import instance_name

DEFAULT_BROKER: Final = "amqp://localhost"

MEANINGS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (errors.ServiceUnavailable, "service unavailable"),
    (errors.Overloaded, "service overloaded"),
    (errors.CallTimedOut, "timed out"),
    (errors.WorkerLost, "worker lost"),
    (errors.ConnectionLost, "connection lost"),
    (errors.BrokerBlocked, "broker blocked"),
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
    (errors.ConfigurationError, "cannot call"),
)
"""What to call an error, by the first class that it is an instance of."""

KNOWN: Final = tuple(kind for kind, _ in MEANINGS)

OUTCOMES: Final = {
    errors.Outcome.NOT_SENT: "not executed",
    errors.Outcome.REJECTED: "not executed",
    errors.Outcome.UNKNOWN: "may have been executed",
}


def _checked_broker(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        uri.parse(value)
    except errors.InvalidURI as error:
        raise click.BadParameter(str(error)) from error
    return value


broker_option: Final = click.option(
    "--broker",
    metavar="URL",
    envvar="RPC_BROKER",
    default=DEFAULT_BROKER,
    callback=_checked_broker,
    help="amqp://user:password@host:5672/vhost, or amqps://; several hosts with commas. Default: the environment "
    f"variable RPC_BROKER, which keeps the password from the list of processes, or {DEFAULT_BROKER}.",
)


def run(work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Run the reactor until `work` is done, and return or raise what it did; a signal cancels it.

    :raises click.Abort: a signal came.
    """
    outcome: list[Any] = []

    def begin(reactor: Any) -> Deferred[None]:
        working = Deferred.fromCoroutine(work(reactor))
        ended = working.addBoth(outcome.append)

        def interrupt() -> Deferred[None]:
            working.cancel()  # nothing, when it has ended, and is not why the reactor stops
            return ended

        reactor.addSystemEventTrigger("before", "shutdown", interrupt)
        return ended

    # What went wrong is told once, in words. Without an observer Twisted would print errors by itself.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    with suppress(SystemExit):  # which is how it ends
        react(begin)
    (result,) = outcome
    if not isinstance(result, Failure):
        return result
    if result.check(CancelledError):
        raise click.Abort
    return result.raiseException()


async def open_connection(reactor: Any, broker: str, role: str) -> AMQPConnection:
    """Return a connection that is not made again when it is lost: a command tells of that, and ends.

    :param role: what the broker's operators see of it, beside the name of this process.
    :raises AMQPError: no host of the URL lets us in; the last one's reason.
    """
    where = uri.parse(broker)
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
    """Return what to tell people of one of the :data:`KNOWN` errors."""
    words = next(words for kind, words in MEANINGS if isinstance(error, kind))
    if isinstance(error, errors.ClosedByBroker) and not error.code:  # the broker has said nothing
        return f"{words}: {error.text}"
    outcome = f" ({OUTCOMES[error.outcome]})" if isinstance(error, errors.RPCError) else ""
    return f"{words}: {error}{outcome}"
