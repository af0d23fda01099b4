"""``thrift-rpc serve``: serve services, in this process or in several."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import IO, Any

import click
from click.core import ParameterSource
from twisted.application.reactors import getReactorTypes, installReactor

from rpc.broker_address import FILE_VARIABLE, URL_VARIABLE
from rpc.cli.running import BROKER_HELP, checked_broker, command_line_errors
from rpc.cli.serve_processes import Settings, prepare
from rpc.cli.settings import OTHERS, PREFIX, WORDS, GroupedCommand, Setting, is_in_environment, read_config
from rpc.cli.worker_options import ACCESS_LOG, ON_REFUSAL, PORT, SECONDS, SOME_SECONDS, WholeNumber
from rpc.default_reactor import default_reactor
from rpc.hosting import DRAIN_TIMEOUT
from rpc.monotonic import use_monotonic_time
from rpc.serving.log_output import FORMATS, LEVELS, begin_logging
from rpc.serving.observed_worker import LOOPBACK
from rpc.uri import BrokerURI
from rpc.worker.refused_worker import EXIT

MOST_WORKERS = 1024
DEFAULT_REACTOR = "default"


def _broker(ctx: click.Context, parameter: click.Parameter, value: Any) -> BrokerURI:
    """Return the broker's address. The environment comes before the file, as for other options."""
    in_file = ctx.get_parameter_source("broker") is ParameterSource.DEFAULT_MAP
    if in_file and is_in_environment(URL_VARIABLE, FILE_VARIABLE):
        value = None
    return checked_broker(ctx, parameter, value)


def _reactor_name(ctx: click.Context, parameter: click.Parameter, name: str) -> str:
    """Return the name of a reactor.

    Twisted knows reactors by plugins, and writes a list of these into its own folder. So it is asked only for another
    reactor than the default one: else the log of each start would say that a container's folder is read only.
    """
    if name != DEFAULT_REACTOR:
        known = {reactor.shortName for reactor in getReactorTypes()}
        if name not in known:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(sorted(known))}.", ctx, parameter)
    return name


def _path(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return a path. An empty one is none, as with twistd's ``--pidfile=``, and as in the environment."""
    return value or None


def _option(group: str, *names: str, **attributes: Any) -> Callable[[Any], Any]:
    return click.option(*names, cls=Setting, group=group, **attributes)


@click.command(
    "serve",
    cls=GroupedCommand,
    context_settings={"auto_envvar_prefix": PREFIX, "show_default": True},
    short_help="Serve services, in one process or in several.",
)
@click.argument("services", metavar="MODULE:SERVICE...", nargs=-1, envvar=f"{PREFIX}_SERVICES")
@_option(
    "Broker",
    "--broker",
    metavar="URL",
    callback=_broker,
    allow_from_autoenv=False,
    help=BROKER_HELP,
)
@_option(
    "Broker",
    "--on-refusal",
    type=ON_REFUSAL,
    default=EXIT,
    help="What to do when the broker refuses the worker at its start: wrong user name or password, no such virtual "
    "host, no permission, a queue with other arguments. exit: end with status 1; wait: try again.",
)
@_option(
    "Broker",
    "--connect-timeout",
    type=SOME_SECONDS,
    help="End with status 1 when not all services could be consumed for so many seconds, at the start or later. "
    "Default: try for ever.",
)
@_option(
    "Broker",
    "--spec",
    metavar="VERSION",
    help="The version of AMQP: an XML file in txAMQP's format, or 0-9-1, 0-9 or 0-8. Default: 0-9-1.",
)
@_option(
    "Processes",
    "--workers",
    type=WholeNumber(1, MOST_WORKERS),
    metavar="N",
    help="Number of worker processes. A supervisor starts them again when they end, and replaces them one after the "
    "other on SIGHUP. Default: this process serves, without a supervisor.",
)
@_option(
    "Processes",
    "--reload",
    is_flag=True,
    help="For development: replace the worker processes when a Python file changes. Needs the extra 'reload'.",
)
@_option(
    "Processes",
    "--drain-timeout",
    type=SECONDS,
    default=DRAIN_TIMEOUT,
    help="Seconds that calls in progress have to finish when a worker stops; then another worker runs them.",
)
@_option(
    "Processes",
    "--reactor",
    default=DEFAULT_REACTOR,
    callback=_reactor_name,
    metavar="NAME",
    help="Twisted's reactor: asyncio for handlers that use asyncio.",
)
@_option(
    "Processes",
    "--pidfile",
    type=click.Path(),
    callback=_path,
    help="File that has the process id while the program runs. One that is left over is replaced. Default: none.",
)
@_option("Log", "--log-level", type=click.Choice(LEVELS), default="info", help="Leave out less important lines.")
@_option("Log", "--log-format", type=click.Choice(FORMATS), default="text", help="json: one JSON object a line.")
@_option(
    "Log",
    "--slow-call",
    type=SECONDS,
    help="Log each call that takes longer than so many seconds. Default: none.",
)
@_option(
    "Log",
    "--access-log",
    type=ACCESS_LOG,
    help="Log each call, when it has ended: text (name=value), or json. Default: none.",
)
@_option(
    "Health",
    "--health-port",
    type=PORT,
    metavar="PORT",
    help="Serve /live and /ready by HTTP on this port; 0: a free one, which the log names. Default: none.",
)
@_option(
    "Health",
    "--health-interface",
    default=LOOPBACK,
    metavar="ADDRESS",
    help="Address to listen on for that; 0.0.0.0: all IPv4 addresses of this machine.",
)
@_option(
    "Health",
    "--ready-file",
    type=click.Path(),
    callback=_path,
    help="File that exists while all services are consumed. Default: none.",
)
@_option(
    "Metrics",
    "--metrics-port",
    type=PORT,
    metavar="PORT",
    help="Serve /metrics by HTTP on this port, for Prometheus; 0: a free one, which the log names. Needs the extra "
    "'metrics'. Default: none.",
)
@_option(
    "Metrics",
    "--metrics-interface",
    default=LOOPBACK,
    metavar="ADDRESS",
    help="Address to listen on for that; 0.0.0.0: all IPv4 addresses of this machine.",
)
@_option(
    "Control service",
    "--no-control",
    is_flag=True,
    help="Do not answer thrift-rpc list, ping, describe and stats.",
)
@_option(
    "Control service",
    "--control-allow",
    metavar="USERS",
    help="The users that are answered: names, or patterns such as ops-*, with commas. Default: all users.",
)
@_option(
    "Control service",
    "--no-stats",
    is_flag=True,
    help="Do not count the calls of each method for thrift-rpc stats.",
)
@_option(
    OTHERS,
    "--config",
    type=click.Path(),
    is_eager=True,
    expose_value=False,
    callback=read_config,
    help='TOML file with these options, without the dashes: drain-timeout = 60, services = ["MODULE:SERVICE"].',
)
@click.option("--supervised", is_flag=True, hidden=True, allow_from_autoenv=False)
@click.pass_context
def serve_command(context: click.Context, /, services: tuple[str, ...], reactor: str, **values: Any) -> None:
    """Serve each MODULE:SERVICE, an rpc.ThriftService in an importable module; the current directory is searched first.

    Ends on SIGTERM or SIGINT, when the calls in progress are finished, with status 0; on a second signal at once. The
    status is 1 when the broker refuses the worker, and 2 when an option or a module is wrong.

    Each option is also an environment variable, such as RPC_DRAIN_TIMEOUT, and a key of the file --config. The command
    line comes first, then the environment, then the file.
    """
    if not services:
        raise click.UsageError("Name at least one service, as MODULE:SERVICE.")
    settings = Settings(services=services, words=tuple(context.meta[WORDS]), **values)
    _install(reactor)
    with command_line_errors():
        run = prepare(default_reactor(), settings)
    begin_logging(_log_stream(), settings.log_level, settings.log_format)
    run()


def _install(name: str) -> None:
    """Make a reactor Twisted's global one."""
    if name != DEFAULT_REACTOR:
        try:
            installReactor(name)
        except ImportError as error:
            raise click.BadParameter(f"{name}: {error}", param_hint="'--reactor'") from error
    use_monotonic_time()


def _log_stream() -> IO[str]:
    """Return standard output, which takes every character. The log goes nowhere when it is closed."""
    stream: IO[str] | None = sys.stdout
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # for the life of the program
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream
