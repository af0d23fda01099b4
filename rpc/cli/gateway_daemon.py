"""``twistd rpc-gateway``: the command line of ``thrift-rpc gateway``, under twistd."""

from __future__ import annotations

from collections.abc import Sequence

import click
from twisted.application.service import IService
from twisted.internet.defer import CancelledError
from twisted.internet.error import CannotListenError
from twisted.python import usage
from twisted.python.failure import Failure

from rpc import log
from rpc.cli.gateway import gateway_command, gateway_of
from rpc.default_reactor import default_reactor
from rpc.exit_status import end_program
from rpc.gateway import Gateway
from rpc.monotonic import use_monotonic_time
from rpc.printable import printable_lines


class Options(usage.Options):
    """The command line. click reads it, so that both commands have the same options."""

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Build the gateway here, where an error can still be reported in one line.

        :raises SystemExit: an option is wrong, with one message; or help was wanted.
        """
        try:
            context = gateway_command.make_context(
                "twistd rpc-gateway", list(options or ()), help_option_names=["-h", "--help"]
            )
            use_monotonic_time()
            self["gateway"] = gateway_of(context, default_reactor())
        except click.exceptions.Exit as error:  # after --help
            raise SystemExit(error.exit_code) from error
        except click.ClickException as error:
            raise SystemExit(printable_lines(f"rpc-gateway: {error.format_message()}")) from error


def makeService(options: Options) -> IService:
    """Return the service that twistd runs. If it cannot listen, the log says why in one line; the exit status is 1."""
    gateway: Gateway = options["gateway"]
    reactor = default_reactor()
    reactor.callWhenRunning(lambda: gateway.when_listening().addErrback(_give_up))
    return gateway


def _give_up(failure: Failure) -> None:
    if failure.check(CancelledError):  # it was stopped before it listened
        return
    if failure.check(CannotListenError):
        log.msg(f"rpc-gateway: {failure.getErrorMessage()}")
    else:
        log.err(failure, "rpc-gateway: the gateway does not start")
    end_program(default_reactor(), 1)
