"""``twistd rpc-gateway``: the command line of ``thrift-rpc gateway``, under twistd."""

from __future__ import annotations

from collections.abc import Sequence

import click
from twisted.application.service import IService
from twisted.python import usage

from rpc.cli.gateway import gateway_command, gateway_of
from rpc.cli.twistd_options import check_user, end_unless_listening, prepared
from rpc.default_reactor import default_reactor
from rpc.errors import ConfigurationError
from rpc.gateway import Gateway


class Options(usage.Options):
    """The command line. click reads it, so that both commands have the same options."""

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Build the gateway here, where an error can still be reported in one line.

        :raises SystemExit: an option is wrong, with one message; or help was wanted.
        """
        with prepared(self, "rpc-gateway"):
            try:
                context = gateway_command.make_context(
                    "twistd rpc-gateway", list(options or ()), help_option_names=["-h", "--help"]
                )
                check_user(self, [])
                self["gateway"] = gateway_of(context, default_reactor())
            except click.exceptions.Exit as error:  # after --help
                raise SystemExit(error.exit_code) from error
            except click.ClickException as error:
                raise ConfigurationError(error.format_message()) from error


def makeService(options: Options) -> IService:
    """Return the service that twistd runs. If it cannot listen, the log says why in one line; the exit status is 1."""
    gateway: Gateway = options["gateway"]
    default_reactor().callWhenRunning(lambda: end_unless_listening("rpc-gateway", gateway.when_listening()))
    return gateway
