"""``thrift-rpc call``: one call from a shell. Arguments and result are JSON."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import click
from thrift.Thrift import TApplicationException
from thrift.Thrift import TException as ThriftException

from rpc.cli.argument_words import STANDARD_INPUT, read_standard_input
from rpc.cli.call_trace import LIVENESS, CallTrace
from rpc.cli.call_words import CallCommand
from rpc.cli.invocation import Invocation, methods
from rpc.cli.metadata_option import metadata_option
from rpc.cli.running import OUTCOMES, broker_option, command_line_errors, errors_in_words, keys_option, run_connected
from rpc.cli.standard_output import say
from rpc.cli.targets import Target
from rpc.client.client_call import ClientCall
from rpc.client.connection import Connection
from rpc.client.options import DEFAULT_TIMEOUT, ClientOptions
from rpc.envelope import CODECS
from rpc.errors import Outcome
from rpc.idl import python_name
from rpc.interceptors import ClientInterceptor
from rpc.printable import printable
from rpc.uri import BrokerURI

HELP: Final = """
Call METHOD of the service of STUB, and print its result as JSON. Without METHOD, list the service's methods.

STUB is a module made by "thrift-rpc compile", such as generated.calculator.Calculator; the current directory is
searched first. With --idl, it is the name of a service in the file.

\b
ARGS are JSON, one for each argument of the method:
  struct      an object: '{"num1": 6, "num2": 7, "op": "MULTIPLY"}'
  list, set   an array
  map         an object; a key that is not text is written as the text of its JSON
  string      text as it is, or JSON when it begins with a quotation mark
  binary      base64, otherwise as string
  enum        the name, or any number
  double      a number, NaN, Infinity or -Infinity (the last three as JSON text)

A single "-" reads all of them from standard input: an object of the arguments by name, or an array of them.

A word that names an argument, such as num1=6, or an object of arguments for one that is a string, is hardly meant
as it is and is refused; in quotation marks it is text: '"num1=6"'.

A word that begins with one "-", such as -2, is an argument; one that begins with "--" is an option, unless it
follows a "--" of its own.

The result is written the same way, enums by name. A method without a result prints nothing.

Exit status: 0 when the method answered; 1 when the call failed or was interrupted, or the method threw an exception of
the IDL, with the reason on standard error; 2 when the command line is wrong; 141 when the reader of the result is gone.
"""


@click.command(name="call", cls=CallCommand, short_help="Call a method, and print its result as JSON.", help=HELP)
@click.argument("stub")
@click.argument("method", required=False)
@click.argument("arguments", nargs=-1, metavar="[ARGS]...", type=click.UNPROCESSED)
@broker_option
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    help=f"How long to wait. Default: the method's timeout_ms in the IDL, or {DEFAULT_TIMEOUT:g} s.",
)
@click.option(
    "--protocol", type=click.Choice(list(CODECS)), default="binary", show_default=True, help="Thrift's protocol."
)
@click.option("--name", help="The service's name on the broker, when it is not the one in the IDL.")
@click.option(
    "--idl",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The .thrift file of the service: no compiled stub is needed, but Thrift's compiler is.",
)
@metadata_option
@click.option("--user-id", is_flag=True, help="Name the URL's user, for services that ask who calls.")
@keys_option("A file of keys: the request is signed with the first, and the reply must be signed.")
@click.option(
    "--verbose", "-v", is_flag=True, help="Tell on standard error what is sent where, and which worker answers."
)
def call_command(
    stub: str,
    method: str | None,
    arguments: tuple[str, ...],
    broker: BrokerURI,
    idl: Path | None,
    verbose: bool,
    **options: Any,
) -> None:
    """Call a method, or list the methods of a service."""
    with command_line_errors():
        target = _target(stub, idl)
        if method is None:
            say("\n".join(methods(target.description)))
            return
        given = read_standard_input() if arguments == (STANDARD_INPUT,) else arguments
        invocation = Invocation.read(target, method, given)
        _, at, instance = stub.partition("@")
        name = options.pop("name") or f"{target.description.name}{at}{instance}"
        chosen = ClientOptions(name=name, liveness=LIVENESS if verbose else None, **options)
    with errors_in_words():
        _call(invocation, broker, chosen, CallTrace(broker) if verbose else None)


def _target(stub: str, path: Path | None) -> Target:
    if path is not None:
        return Target.in_file(path, stub.partition("@")[0])
    return Target.compiled(stub)


def _call(invocation: Invocation, broker: BrokerURI, options: ClientOptions, trace: CallTrace | None) -> None:
    label = f"{options.name}.{invocation.method.name}"
    sent = _Sent()
    interceptors = [sent] if trace is None else [sent, trace]
    try:
        result = run_connected(broker, options.timeout, partial(_perform, invocation, options, trace), interceptors)
    except click.Abort:
        known = OUTCOMES[Outcome.UNKNOWN if sent else Outcome.NOT_SENT]
        raise click.ClickException(f"interrupted: {label} ({known})") from None
    except TApplicationException as error:
        log = "; see the worker's log" if error.type == TApplicationException.INTERNAL_ERROR else ""
        raise click.ClickException(f"service failed: {label}: {printable(str(error))}{log}") from error
    except ThriftException as error:
        thrown = invocation.show_thrown(error)
        if thrown is None:
            raise
        raise click.ClickException(thrown) from error
    shown = invocation.show(result)
    if shown is not None:
        say(shown, f"{label} was executed")


class _Sent(ClientInterceptor):
    """Whether the call was sent: true from its first attempt on."""

    def __init__(self) -> None:
        self._call: ClientCall | None = None

    def before(self, call: ClientCall) -> None:
        """Keep the call, which tells its attempts."""
        self._call = call

    def __bool__(self) -> bool:
        return self._call is not None and self._call.attempt > 0


def _perform(
    invocation: Invocation,
    options: ClientOptions,
    trace: CallTrace | None,
    connection: Connection,
    left: float | None,
) -> Any:
    """Make the call, within the seconds that are `left`; return its Deferred."""
    if trace is not None:
        trace.connected(connection)
    options = attrs.evolve(options, timeout=left)
    client = connection.client(invocation.stub, **attrs.asdict(options, recurse=False))
    return getattr(client, python_name(invocation.method.name))(*invocation.arguments)
