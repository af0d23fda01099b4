"""``thrift-rpc dashboard``: a page about services and workers."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, Final

import click
from twisted.internet.defer import Deferred

from rpc import log
from rpc.cli.control_options import user_id_option
from rpc.cli.running import WrongCommandLine, broker_option, run
from rpc.cli.standard_output import say
from rpc.cli.worker_options import PORT
from rpc.dashboard.access import is_loopback, new_token
from rpc.dashboard.server import DEFAULT_PORT, LOOPBACK, Dashboard
from rpc.errors import ConfigurationError
from rpc.serving.pages import CannotListen
from rpc.small_files import read_text

TOKEN_VARIABLE: Final = "RPC_DASHBOARD_TOKEN"  # noqa: S105  # the name of a variable

ALL_ADDRESSES: Final = ("0.0.0.0", "::")  # noqa: S104  # compared with
"""Values of ``--interface`` that a browser of another machine cannot open."""


@click.command("dashboard")
@broker_option
@click.option("--port", type=PORT, default=DEFAULT_PORT, show_default=True, help="Serve the page here; 0: a free port.")
@click.option(
    "--interface",
    metavar="ADDRESS",
    default=LOOPBACK,
    show_default=True,
    help="Address to listen on; 0.0.0.0: all IPv4 addresses of this machine. Beyond loopback, the page needs a token.",
)
@click.option(
    "--token-file",
    metavar="PATH",
    help=f"File with the token, of 16 characters or more. Default: the environment variable {TOKEN_VARIABLE}; on "
    "loopback no token; elsewhere a new one, which is printed once.",
)
@click.option(
    "--service",
    "services",
    metavar="SERVICE",
    multiple=True,
    help="Show this service also when no worker has served it since the page was opened; can be repeated.",
)
@user_id_option
def dashboard_command(interface: str, **options: Any) -> None:
    """Show services and workers on a page.

    The page updates itself: rates, times, errors, dead letters, requests that wait. Open the address that is logged.
    It is for browsers of this machine, unless --interface says otherwise. It shows no arguments, results or passwords.
    Ends on SIGTERM or SIGINT.
    """
    with suppress(click.Abort):  # a signal is the usual end
        run(
            lambda reactor: _serve(_dashboard_of(reactor, interface, **options), interface),
            sys.stdout,
        )


def _dashboard_of(reactor: Any, interface: str, *, token_file: str | None, **options: Any) -> Dashboard:
    """Return the dashboard of a command line.

    :raises WrongCommandLine: an option has a wrong value.
    """
    try:
        token = _given_token(token_file)
        if token is None and not is_loopback(interface):
            token = new_token()
            say(f"the token of this page, until it ends: {token}")
        return Dashboard(interface=interface, token=token, reactor=reactor, **options)
    except ConfigurationError as error:
        raise WrongCommandLine(str(error)) from error


def _given_token(path: str | None) -> str | None:
    """Return the token of the file, or of the environment."""
    if path is not None:
        return read_text("--token-file", path)
    return os.environ.get(TOKEN_VARIABLE) or None


def all_addresses(interface: str) -> str:
    """Return the words after the page's address, when this stands for every address of the machine."""
    if interface not in ALL_ADDRESSES:
        return ""
    return f" (from another machine, write the name or address of this one instead of {interface})"


async def _serve(dashboard: Dashboard, interface: str) -> None:
    """Serve until cancelled.

    :raises ClickException: the dashboard cannot listen.
    """
    try:
        dashboard.startService()
    except CannotListen as error:
        raise click.ClickException(str(error)) from error
    log.msg(f"dashboard: {dashboard.url}{all_addresses(interface)}")
    try:
        await Deferred()
    finally:
        await dashboard.stopService()
