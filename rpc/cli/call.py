"""``thrift-rpc call``: one call from a shell. Arguments and result are JSON."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import attrs
import click
from thrift.Thrift import TApplicationException
from thrift.Thrift import TException as ThriftException

from rpc.cli.invocation import Invocation, methods
from rpc.cli.running import OUTCOMES, broker_option, command_line_errors, errors_in_words, keys_option, run_connected
from rpc.cli.standard_output import say
from rpc.client.client_call import ClientCall
from rpc.client.connection import Connection
from rpc.client.options import DEFAULT_TIMEOUT, ClientOptions
from rpc.envelope import CODECS
from rpc.errors import Outcome
from rpc.idl import python_name
from rpc.interceptors import ClientInterceptor
from rpc.keys import Keys
from rpc.printable import printable
from rpc.uri import BrokerURI

HELP: Final = """
Call METHOD of the service of STUB, and print its result as JSON. Without METHOD, list the service's methods.

STUB is a module made by "thrift-rpc compile", such as generated.calculator.Calculator; the current directory is
searched first.

\b
ARGS are JSON, one for each argument of the method:
  struct      an object: '{"num1": 6, "num2": 7, "op": "MULTIPLY"}'
  list, set   an array
  map         an object; a key that is not text is written as the text of its JSON
  string      text as it is, or JSON when it begins with a quotation mark
  binary      base64, otherwise as string
  enum        the name, or any number
  double      a number, NaN, Infinity or -Infinity (the last three as JSON text)

A word that names an argument, such as num1=6, or an object of arguments for one that is a string, is hardly meant
as it is and is refused; in quotation marks it is text: '"num1=6"'.

A word that begins with one "-", such as -2, is an argument; one that begins with "--" is an option, unless it
follows a "--" of its own.

The result is written the same way, enums by name. A method without a result prints nothing.

Exit status: 0 when the method answered; 1 when the call failed or was interrupted, or the method threw an exception of
the IDL, with the reason on standard error; 2 when the command line is wrong; 141 when the reader of the result is gone.
"""


class CallCommand(click.Command):
    """Takes words that begin with one ``-``, such as ``-2``, as arguments.

    click would read ``-2h`` as the options ``-2`` and ``-h``, and with ``ignore_unknown_options`` print the help.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the options first, and the other words behind ``--``.

        :raises click.NoSuchOption: a word begins with ``--`` and is no option.
        """
        options, words = _split(ctx, self.get_params(ctx), args)
        return super().parse_args(ctx, [*options, "--", *words] if words else options)


def _split(ctx: click.Context, parameters: list[click.Parameter], args: list[str]) -> tuple[list[str], list[str]]:
    """Return the options, with their values, and the other words. Behind ``--`` no word is an option."""
    known = {name: option for option in parameters if isinstance(option, click.Option) for name in option.opts}
    options: list[str] = []
    words: list[str] = []
    left = iter(args)
    for word in left:
        name, equals, _ = word.partition("=")
        if word == "--":
            words.extend(left)
        elif word in known or (name in known and name.startswith("--")):
            options.append(word)
            if not equals and not known[name].is_flag:
                value = next(left, None)
                if value is None:
                    return options, []  # so that click says that the last option needs a value
                options.append(value)
        elif word.startswith("--"):
            raise click.NoSuchOption(name, possibilities=sorted(known), ctx=ctx)
        else:
            words.append(word)
    return options, words


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
@click.option("--user-id", is_flag=True, help="Name the URL's user, for services that ask who calls.")
@keys_option("A file of keys: the request is signed with the first, and the reply must be signed.")
def call_command(
    stub: str,
    method: str | None,
    arguments: tuple[str, ...],
    broker: BrokerURI,
    timeout: float | None,
    protocol: str,
    name: str | None,
    user_id: bool,
    keys: Keys | None,
) -> None:
    """Call a method, or list the methods of a service."""
    with command_line_errors():
        if method is None:
            say("\n".join(methods(stub)))
            return
        invocation = Invocation.read(stub, method, arguments)
        options = ClientOptions(timeout=timeout, protocol=protocol, name=name, user_id=user_id, keys=keys)
    with errors_in_words():
        _call(invocation, broker, options)


def _call(invocation: Invocation, broker: BrokerURI, options: ClientOptions) -> None:
    label = invocation.label(options.name)
    sent = _Sent()
    try:
        result = run_connected(broker, options.timeout, partial(_perform, invocation, options), [sent])
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


def _perform(invocation: Invocation, options: ClientOptions, connection: Connection, left: float | None) -> Any:
    """Make the call, within the seconds that are `left`; return its Deferred."""
    options = attrs.evolve(options, timeout=left)
    client = connection.client(invocation.stub, **attrs.asdict(options, recurse=False))
    return getattr(client, python_name(invocation.method.name))(*invocation.arguments)
