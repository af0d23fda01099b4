"""``thrift-rpc gateway``: stock Thrift clients call services behind the broker."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import click
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from rpc.cli.completion import complete_service
from rpc.cli.named_values import named_values
from rpc.cli.running import WrongCommandLine, broker_option, keys_option, run
from rpc.cli.worker_options import SOME_SECONDS, WholeNumber
from rpc.errors import ConfigurationError
from rpc.gateway import Gateway, GatewayOptions
from rpc.gateway.server import DEFAULT_OPTIONS
from rpc.topology import REQUESTS

COUNT: Final = WholeNumber(1)


def _seconds(name: str, purpose: str) -> Callable[[Any], Any]:
    return _option(name, SOME_SECONDS, purpose)


def _count(name: str, purpose: str) -> Callable[[Any], Any]:
    return _option(name, COUNT, purpose)


def _option(name: str, kind: Any, purpose: str) -> Callable[[Any], Any]:
    default = getattr(DEFAULT_OPTIONS, name.replace("-", "_"))
    return click.option(f"--{name}", type=kind, default=default, show_default=True, help=purpose)


@click.command("gateway", short_help="Serve stock Thrift clients of any language.")
@click.argument("services", metavar="SERVICE...", nargs=-1, required=True, shell_complete=complete_service)
@broker_option
@click.option(
    "--framed",
    metavar="ENDPOINT",
    multiple=True,
    help="Listen here for framed TCP and THeader: tcp:9090, ssl:9091:privateKey=PATH:certKey=PATH, or another endpoint "
    "of Twisted's; can be repeated.",
)
@click.option("--http", metavar="ENDPOINT", multiple=True, help="Listen here for HTTP; can be repeated.")
@click.option(
    "--cors",
    metavar="ORIGIN",
    multiple=True,
    help="Web pages of this origin may call by HTTP: https://www.example.org, or * for all; can be repeated.",
)
@_seconds("timeout", "Seconds from a request to its deadline. A client may ask for less.")
@_count("max-message-size", "Bytes of a message.")
@_count("max-connections", "Clients at once. Further ones are closed.")
@_count("in-flight", "Calls in progress of one connection. With so many, no more requests are read from it.")
@click.option("--unordered", is_flag=True, help="Send answers as they come. Default: in the order of the requests.")
@_seconds("idle-timeout", "Seconds that a connection without a call stays open.")
@_seconds("transfer-timeout", "Seconds that a client may take to send a request, or to read an answer.")
@_count("max-buffered", "Bytes of requests and answers in memory, of all clients together.")
@_seconds("drain-timeout", "Seconds that calls in progress have to finish when the gateway stops.")
@click.option("--exchange", metavar="NAME", default=REQUESTS, show_default=True, help="Where requests are published.")
@click.option("--queue", metavar="NAME", help="The service's request queue, when it is not rpc.SERVICE.")
@click.option("--reply-exchange", metavar="NAME", help="The exchange that replies are published to.")
@click.option("--uncorrelated-replies", is_flag=True, help="Accept replies without a correlation id.")
@click.option("--retry", is_flag=True, help="Repeat a rejected call, within its deadline.")
@click.option("--idempotent", metavar="METHOD", multiple=True, help="A method that may run twice; can be repeated.")
@click.option(
    "--liveness", type=float, metavar="SECONDS", help="Fail a call whose worker sends no keepalive this long."
)
@click.option("--priority", type=int, help="0 to 255, for services with max_priority.")
@click.option(
    "--header",
    "headers",
    metavar="NAME=VALUE",
    multiple=True,
    callback=named_values("tenant=blue"),
    help="Metadata of all calls; the value is JSON, or text. Can be repeated.",
)
@click.option("--user-id", is_flag=True, help="Name the URL's user in requests, for services with allow=.")
@click.option("--app-id", metavar="NAME", help="A name for the gateway, which handlers see.")
@keys_option("File of keys: sign requests, and verify replies.")
@click.pass_context
def gateway_command(context: click.Context, /, **_: Any) -> None:
    """Serve unmodified Thrift clients, of any language, from services behind the broker.

    They call SERVICE by framed TCP, THeader or HTTP, in the binary, compact or JSON protocol. A multiplexed name, or
    the path /SERVICE of HTTP, chooses among several; the first one is the default. Ends on SIGTERM, SIGINT or SIGHUP,
    when the calls in progress are finished; on a second signal at once.
    """
    with suppress(click.Abort):  # a signal is the usual end
        run(lambda reactor: serve(gateway_of(context, reactor)), sys.stdout)


def gateway_of(context: click.Context, reactor: Any) -> Gateway:
    """Return the gateway of a command line.

    :raises WrongCommandLine: an option has a wrong value.
    """
    values = dict(context.params)
    broker, services = values.pop("broker"), values.pop("services")
    framed, http = values.pop("framed"), values.pop("http")
    try:
        options = GatewayOptions(**values)
        return Gateway(broker, services, framed=framed, http=http, options=options, reactor=reactor)
    except ConfigurationError as error:
        raise WrongCommandLine(str(error)) from error


async def serve(gateway: Gateway) -> None:
    """Serve until cancelled.

    :raises ClickException: the gateway cannot listen.
    """
    gateway.startService()
    try:
        await gateway.when_listening()
        await Deferred()
    except CannotListenError as error:
        raise click.ClickException(str(error)) from error
    finally:
        await gateway.stopService()
