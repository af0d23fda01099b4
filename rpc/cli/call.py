"""``thrift-rpc call``: one call from a shell. Arguments and result are JSON, failures are told by what they mean."""

from __future__ import annotations

from typing import Any

import attrs
import click
from thrift.Thrift import TApplicationException
from thrift.Thrift import TException as ThriftException
from twisted.internet.defer import TimeoutError as ConnectTimedOut

from rpc import errors
from rpc.cli.invocation import Invocation, methods
from rpc.cli.running import KNOWN, broker_option, meaning, run
from rpc.client.connection import connect
from rpc.client.options import DEFAULT_TIMEOUT, ClientOptions
from rpc.envelope import CODECS


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


@click.command(name="call", cls=CallCommand, context_settings={"ignore_unknown_options": True})
@click.argument("stub")
@click.argument("method", required=False)
@click.argument("arguments", nargs=-1, metavar="[ARGS]...", type=click.UNPROCESSED)
@broker_option
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
        result = run(lambda reactor: _perform(reactor, broker, invocation, options))
    except TApplicationException as error:
        log = "; see the worker's log" if error.type == TApplicationException.INTERNAL_ERROR else ""
        raise click.ClickException(f"service failed: {invocation.label(name)}: {error}{log}") from error
    except KNOWN as error:
        raise click.ClickException(meaning(error)) from error
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
