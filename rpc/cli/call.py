"""``thrift-rpc call``: one call from a shell. Arguments and result are JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import click
from thrift.Thrift import TApplicationException
from thrift.Thrift import TException as ThriftException
from twisted.internet.defer import Deferred

from rpc.cli.argument_words import STANDARD_INPUT, read_standard_input
from rpc.cli.call_trace import LIVENESS, CallTrace
from rpc.cli.call_words import CallCommand
from rpc.cli.completion import complete_method, complete_target
from rpc.cli.described_target import described
from rpc.cli.invocation import Invocation, methods
from rpc.cli.named_values import named_values
from rpc.cli.running import broker_option, command_line_errors, errors_in_words, keys_option, run_connected
from rpc.cli.standard_output import say
from rpc.cli.targets import Target, is_module_name
from rpc.cli.worker_options import SOME_SECONDS
from rpc.client.client_call import ClientCall
from rpc.client.connection import Connection
from rpc.client.options import DEFAULT_TIMEOUT, ClientOptions
from rpc.envelope import CODECS
from rpc.errors import ConfigurationError, Outcome
from rpc.idl import python_name
from rpc.interceptors import ClientInterceptor
from rpc.printable import printable
from rpc.uri import BrokerURI, hide_logins

HELP: Final = """
Call METHOD of a service, and print its result as JSON. Without METHOD, list the service's methods.

SERVICE is the service's name on the broker, or SERVICE@INSTANCE: one of its workers is asked for the methods and their
types. With --idl, they are those of the service of this name in the file. A word with dots whose first part is a
package names a module made by "thrift-rpc compile" instead, such as generated.calculator.Calculator; the current
directory is searched first.

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
@click.argument("service", shell_complete=complete_target)
@click.argument("method", required=False, shell_complete=complete_method)
@click.argument("arguments", nargs=-1, metavar="[ARGS]...", type=click.UNPROCESSED)
@broker_option
@click.option(
    "--timeout",
    type=SOME_SECONDS,
    help=f"How long to wait. Default: the method's timeout_ms in the IDL, or {DEFAULT_TIMEOUT:g} s.",
)
@click.option(
    "--protocol", type=click.Choice(list(CODECS)), default="binary", show_default=True, help="Thrift's protocol."
)
@click.option("--name", help="The service's name on the broker, when it is not the one in the IDL.")
@click.option(
    "--idl",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The .thrift file of the service: no worker is asked for it, but Thrift's compiler is needed.",
)
@click.option(
    "--header",
    "-H",
    "headers",
    metavar="NAME=VALUE",
    multiple=True,
    callback=named_values("tenant=blue"),
    help="Metadata that the handler sees; the value is JSON, or text. Can be repeated.",
)
@click.option("--user-id", is_flag=True, help="Name the URL's user, for services that ask who calls.")
@keys_option("A file of keys: the request is signed with the first, and the reply must be signed.")
@click.option("--verbose", "-v", is_flag=True, help="Tell on standard error what is sent where, and who answers.")
def call_command(
    service: str,
    method: str | None,
    arguments: tuple[str, ...],
    broker: BrokerURI,
    idl: Path | None,
    verbose: bool,
    **options: Any,
) -> None:
    """Call a method, or list the methods of a service."""
    with command_line_errors():
        target = _local_target(service, idl)
        name = options.pop("name") or _name_on_broker(service, target)
        given = read_standard_input() if arguments == (STANDARD_INPUT,) else arguments
        chosen = ClientOptions(name=name, liveness=LIVENESS if verbose else None, **options)
        call = _Call(chosen, method, given, CallTrace(broker) if verbose else None)
        if target is not None:
            call.read(target)
            if method is None:
                call.list_methods()
                return
    with errors_in_words():
        call.run(broker)


def _local_target(service: str, path: Path | None) -> Target | None:
    """Return the service whose types are known here; ``None``: a worker is to be asked."""
    if "://" in service:  # it may have a password, which must not be sent as a name
        raise ConfigurationError(f"{hide_logins(service)} is no service: a broker's URL is written behind --broker")
    if path is not None:
        return Target.in_file(path, service.partition("@")[0])
    return Target.compiled(service) if is_module_name(service) else None


def _name_on_broker(service: str, target: Target | None) -> str:
    _, at, instance = service.partition("@")
    return service if target is None else f"{target.description.name}{at}{instance}"


@attrs.define
class _Call:
    """The call of a command line.

    :ivar target: the service, when its types are known.
    :ivar invocation: the call that is made of the words then.
    """

    options: ClientOptions
    method: str | None
    given: Sequence[str] | str
    trace: CallTrace | None
    target: Target | None = None
    invocation: Invocation | None = None

    @property
    def label(self) -> str:
        """``<service>.<method>``."""
        return f"{self.options.name}.{self.method}"

    def read(self, target: Target) -> None:
        """Read the words by the types of a service.

        :raises ConfigurationError: the service lacks the method.
        :raises InvalidRequest: the arguments do not fit.
        """
        self.target = target
        if self.method is not None:
            self.invocation = Invocation.read(target, self.method, self.given)

    def list_methods(self) -> None:
        """Print the methods of the service."""
        assert self.target is not None
        say("\n".join(methods(self.target.description)))

    def run(self, broker: BrokerURI) -> None:
        """Call, and print the result."""
        sent = _Sent()
        interceptors = [sent] if self.trace is None else [sent, self.trace]
        try:
            result = run_connected(broker, self.options.timeout, self._perform, interceptors)
        except click.Abort:
            outcome = Outcome.UNKNOWN if sent else Outcome.NOT_SENT
            raise click.ClickException(f"interrupted: {self.label} ({outcome.in_words})") from None
        except TApplicationException as error:
            log = "; see the worker's log" if error.type == TApplicationException.INTERNAL_ERROR else ""
            raise click.ClickException(f"service failed: {self.label}: {printable(str(error))}{log}") from error
        except ThriftException as error:
            thrown = None if self.invocation is None else self.invocation.show_thrown(error)
            if thrown is None:
                raise
            raise click.ClickException(thrown) from error
        if self.invocation is None:
            self.list_methods()
            return
        shown = self.invocation.show(result)
        if shown is not None:
            say(shown, f"{self.label} was executed")

    def _perform(self, connection: Connection, left: float | None) -> Deferred[Any]:
        """Make the call, within the seconds that are `left`."""
        return Deferred.fromCoroutine(self._call(connection, left))

    async def _call(self, connection: Connection, left: float | None) -> Any:
        began = time.monotonic()
        if self.trace is not None:
            self.trace.connected(connection)
        if self.target is None:
            target = await described(connection, self.options, left)
            with command_line_errors():
                self.read(target)
        invocation = self.invocation
        if invocation is None:
            return None
        if left is not None:
            left = max(left - (time.monotonic() - began), 0.001)
        options = attrs.evolve(self.options, timeout=left)
        client = connection.client(invocation.stub, **attrs.asdict(options, recurse=False))
        return await getattr(client, python_name(invocation.method.name))(*invocation.arguments)


class _Sent(ClientInterceptor):
    """Whether the call was sent: true from its first attempt on."""

    def __init__(self) -> None:
        self._call: ClientCall | None = None

    def before(self, call: ClientCall) -> None:
        """Keep the call, which tells its attempts."""
        self._call = call

    def __bool__(self) -> bool:
        return self._call is not None and self._call.attempt > 0
