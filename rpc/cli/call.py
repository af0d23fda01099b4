"""``thrift-rpc call``: one call from a shell. Arguments and result are JSON, failures are told by what they mean."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import attrs
import click
from thrift.Thrift import TApplicationException
from thrift.Thrift import TException as ThriftException
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as ConnectTimedOut
from twisted.internet.task import react
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure

from rpc import errors, uri
from rpc.cli.invocation import Invocation, methods
from rpc.client import DEFAULT_TIMEOUT, ClientOptions, connect
from rpc.envelope import CODECS

DEFAULT_BROKER: Final = "amqp://localhost"

MEANINGS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (errors.ServiceUnavailable, "service unavailable"),
    (errors.Overloaded, "service overloaded"),
    (errors.CallTimedOut, "timed out"),
    (errors.ConnectionLost, "connection lost"),
    (errors.BrokerBlocked, "broker blocked"),
    (errors.MessageTooLarge, "message too large"),
    (errors.InvalidRequest, "wrong argument"),
    (errors.InvalidReply, "invalid reply"),
    (errors.RPCError, "call failed"),
    (errors.AuthenticationFailed, "login refused"),
    (errors.VirtualHostRefused, "virtual host refused"),
    (errors.BrokerUnreachable, "broker unreachable"),
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


class CallCommand(click.Command):
    """Takes ``-2`` for an argument, not for an option; ``--anything`` is an option, unless it stands behind ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse unknown options: with `ignore_unknown_options`, which lets negative numbers pass, click does not."""
        known = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        for argument in args[: args.index("--")] if "--" in args else args:
            name = argument.partition("=")[0]
            if name.startswith("--") and name not in known:
                raise click.NoSuchOption(name, possibilities=sorted(known), ctx=ctx)
        return super().parse_args(ctx, args)


def _checked_broker(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        uri.parse(value)
    except errors.InvalidURI as error:
        raise click.BadParameter(str(error)) from error
    return value


@click.command(name="call", cls=CallCommand, context_settings={"ignore_unknown_options": True})
@click.argument("stub")
@click.argument("method", required=False)
@click.argument("arguments", nargs=-1, metavar="[ARGS]...", type=click.UNPROCESSED)
@click.option(
    "--broker",
    metavar="URL",
    envvar="RPC_BROKER",
    default=DEFAULT_BROKER,
    callback=_checked_broker,
    help="amqp://user:password@host:5672/vhost, or amqps://; several hosts with commas. Default: the environment "
    f"variable RPC_BROKER, which keeps the password from the list of processes, or {DEFAULT_BROKER}.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Until when to give up. Default: what the IDL says of the method, or {DEFAULT_TIMEOUT:g}.",
)
@click.option(
    "--protocol", type=click.Choice(list(CODECS)), default="binary", show_default=True, help="Thrift's protocol."
)
@click.option("--name", help="The service's name on the broker, when it is not the one in the IDL.")
def call_command(
    stub: str,
    method: str | None,
    arguments: tuple[str, ...],
    broker: str,
    timeout: float | None,
    protocol: str,
    name: str | None,
) -> None:
    """Call METHOD of the service of STUB, and print its result as JSON. Without METHOD, list the methods there are.

    STUB is a module made by "thrift-rpc compile", such as generated.calculator.Calculator; the current directory is
    searched first.

    \b
    ARGS are JSON, one for each argument of the method:
      struct      an object: '{"num1": 6, "num2": 7, "op": "MULTIPLY"}'
      list, set   an array
      map         an object; keys that are not text stand in it as their JSON
      string      text as it stands, or JSON when it begins with a quotation mark
      binary      base64, otherwise as string
      enum        the name or the number
      double      a number, NaN, Infinity or -Infinity (the last three as JSON text)

    The result is written the same way, enums by name. A method without a result prints nothing.

    Exit status: 0 when the method answered; 1 when the call failed, or its exception from the IDL came, with the reason
    on standard error; 2 when the command line is wrong.
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    try:
        if method is None:
            click.echo("\n".join(methods(stub)))
            return
        invocation = Invocation.read(stub, method, arguments)
        options = ClientOptions(timeout=timeout, protocol=protocol, name=name)
        result = _run(lambda reactor: _perform(reactor, broker, invocation, options))
    except TApplicationException as error:
        log = "; see the worker's log" if error.type == TApplicationException.INTERNAL_ERROR else ""
        raise click.ClickException(f"service failed: {invocation.label(name)}: {error}{log}") from error
    except KNOWN as error:
        raise click.ClickException(_meaning(error)) from error
    except ThriftException as error:
        thrown = invocation.show_thrown(error)
        if thrown is None:
            raise
        raise click.ClickException(thrown) from error
    shown = invocation.show(result)
    if shown is not None:
        click.echo(shown.encode("utf-8", "backslashreplace"))  # half a surrogate pair becomes JSON's escape of it


async def _perform(reactor: Any, broker: str, invocation: Invocation, options: ClientOptions) -> Any:
    """Connect, call, and leave; the timeout is that of all together."""
    began = reactor.seconds()
    limit = options.timeout or DEFAULT_TIMEOUT
    try:
        connection = await connect(broker, reactor=reactor).addTimeout(limit, reactor)
    except ConnectTimedOut as error:
        raise errors.BrokerUnreachable(f"no answer within {limit:g} s") from error
    try:
        if options.timeout is not None:
            left = options.timeout - (reactor.seconds() - began)
            options = attrs.evolve(options, timeout=max(left, 0.001))
        client = connection.client(invocation.stub, **attrs.asdict(options, recurse=False))
        return await getattr(client, invocation.method.name)(*invocation.arguments)
    finally:
        await connection.close()


def _run(work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Run the reactor until `work` is done, and return or raise what it did; a signal cancels it."""
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


def _meaning(error: Exception) -> str:
    words = next(words for kind, words in MEANINGS if isinstance(error, kind))
    outcome = f" ({OUTCOMES[error.outcome]})" if isinstance(error, errors.RPCError) else ""
    return f"{words}: {error}{outcome}"
