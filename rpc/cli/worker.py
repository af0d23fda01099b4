"""``twistd rpc-worker``: serve the services that the command line names."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import click
from twisted.application.service import IService
from twisted.python import usage

from rpc.broker_address import Origin, resolve
from rpc.cli.modules import search_current_directory, why_missing
from rpc.cli.running import BROKER_HELP
from rpc.cli.twistd_options import check_user, prepared
from rpc.cli.worker_options import ACCESS_LOG, ON_REFUSAL, PORT, SECONDS, SOME_SECONDS
from rpc.default_reactor import default_reactor
from rpc.errors import ConfigurationError
from rpc.hosting import DRAIN_TIMEOUT
from rpc.serving.notifier import service_manager
from rpc.serving.observed import ObservedService
from rpc.serving.observed_worker import LOOPBACK, WorkerSettings, observed_worker
from rpc.uri import hide_logins
from rpc.worker.refused_worker import EXIT
from rpc.worker.service import ThriftService

TYPES: Final[dict[str, Any]] = {
    "drain-timeout": SECONDS,
    "on-refusal": ON_REFUSAL,
    "connect-timeout": SOME_SECONDS,
    "slow-call": SECONDS,
    "access-log": ACCESS_LOG,
    "health-port": PORT,
    "metrics-port": PORT,
}


NAME_FORM: Final = re.compile(r"[^\s:/\\,.]+(\.[^\s:/\\,.]+)*:[^\W\d]\w*")
"""``module:attribute``. The name of a module may be no identifier, such as ``my-service``."""


class Options(usage.Options):
    """The command line. An error in it ends the process with one message and status 1."""

    synopsis = "[options] MODULE:SERVICE [MODULE:SERVICE ...]"
    longdesc = (
        "Serves each MODULE:SERVICE, an rpc.ThriftService in an importable module; the current directory is searched "
        "first, or that of --rundir. Ends on SIGTERM, SIGINT or SIGHUP, when the calls in progress are finished; on a "
        "second signal at once."
    )
    optParameters = [  # noqa: RUF012  # Twisted reads it from the class
        [
            "broker",
            "b",
            None,
            f"URL of the broker: {BROKER_HELP}",
        ],
        [
            "drain-timeout",
            None,
            DRAIN_TIMEOUT,
            "Seconds that calls in progress have to finish when the worker stops; then another worker runs them.",
        ],
        [
            "on-refusal",
            None,
            EXIT,
            (
                "What to do when the broker refuses the worker at its start: wrong user name or password, no such "
                "virtual host, no permission, a queue with other arguments. exit: end with status 1; wait: try again "
                "until the broker accepts the worker."
            ),
        ],
        [
            "spec",
            None,
            None,
            (
                "The version of AMQP: an XML file in txAMQP's format, or 0-9-1, 0-9 or 0-8. Default: 0-9-1. RabbitMQ "
                "has 0-8 before version 4.0."
            ),
        ],
        [
            "connect-timeout",
            None,
            None,
            "Seconds without all services, at the start or later, after which the worker ends with status 1.",
        ],
        ["slow-call", None, None, "Seconds; the log names each call that takes longer."],
        ["access-log", None, None, "Write a line for each call to the log: text (name=value), or json."],
        ["health-port", None, None, "Port for /live and /ready by HTTP; 0: a free one, which the log names."],
        ["health-interface", None, LOOPBACK, "Address to listen on for that; 0.0.0.0: all IPv4 addresses."],
        [
            "metrics-port",
            None,
            None,
            (
                "Port for /metrics by HTTP, for Prometheus; 0: a free one, which the log names. Needs the extra: "
                "pip install 'thrift-amqp-rpc[metrics]'."
            ),
        ],
        ["metrics-interface", None, LOOPBACK, "Address to listen on for that; 0.0.0.0: all IPv4 addresses."],
        ["ready-file", None, None, "File that exists while all services are consumed."],
        ["control-allow", None, None, "Users, with commas, that thrift-rpc list, ping, describe and stats answer to."],
    ]
    optFlags = [  # noqa: RUF012  # Twisted reads it from the class
        ["no-control", None, "Do not answer thrift-rpc list, ping, describe and stats."],
        ["no-stats", None, "Do not count the calls of each method for thrift-rpc stats."],
    ]

    def parseArgs(self, *services: str) -> None:
        """Take the names of the services."""
        self["services"] = services

    def postOptions(self) -> None:
        """Build the worker here, where an error can still be reported in one line."""
        if not self["services"]:
            raise SystemExit(f"rpc-worker: name at least one service\n\n{self}")
        with prepared(self, "rpc-worker"):
            self["service"] = self._make_service()

    def _make_service(self) -> ObservedService:
        broker = resolve(self["broker"] or Origin.ENVIRONMENT)
        self["broker"] = str(broker)  # from here on without the password
        services = list(load_services(self["services"]))
        modules = {sys.modules[name.partition(":")[0]].__file__ for name in self["services"]}
        check_user(self, [os.path.abspath(path) for path in modules if path])
        settings = WorkerSettings(
            broker=broker,
            spec=self["spec"],
            **{name.replace("-", "_"): self._typed(name) for name in TYPES},
            health_interface=self["health-interface"],
            metrics_interface=self["metrics-interface"],
            ready_file=self["ready-file"],
            no_control=bool(self["no-control"]),
            control_allow=self["control-allow"],
            no_stats=bool(self["no-stats"]),
        )
        reactor = default_reactor()
        return observed_worker(reactor, settings, settings.worker(reactor, services), service_manager(os.environ))

    def _typed(self, name: str) -> Any:
        """Return an option as a value of its type; ``None``: it was not given."""
        value = self[name]
        try:
            return None if value is None else TYPES[name].convert(value, None, None)
        except click.BadParameter as error:
            raise ConfigurationError(f"--{name}: {error.message}") from error


def check_name(name: str) -> None:
    """Check the form of ``module:attribute``.

    :raises ConfigurationError: the name has another form.
    """
    if "://" in name:
        raise ConfigurationError(f"{hide_logins(name)}: is no service; write --broker before the broker's URL")
    if not NAME_FORM.fullmatch(name):
        raise ConfigurationError(f"{name!r}: write it as MODULE:SERVICE, such as services.calculator:service")


def load_services(names: tuple[str, ...]) -> Iterator[ThriftService]:
    """Import each ``module:attribute`` and yield its service; the current directory is searched first.

    :raises ConfigurationError: a name has another form, a module does not import, or the attribute is no service.
    """
    search_current_directory()
    for name in names:
        check_name(name)
        module_name, _, attribute = name.partition(":")
        try:
            module = importlib.import_module(module_name)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}") from error
        except (Exception, SystemExit) as error:  # a script may end with the latter, as react does
            why = why_missing(module_name, error) or f"{module_name} does not import: {_last_line(error)}"
            raise ConfigurationError(f"{name}: {why}") from error
        yield _service(module, attribute, name)


def _service(module: ModuleType, attribute: str, name: str) -> ThriftService:
    if not hasattr(module, attribute):
        services = [known for known, value in vars(module).items() if isinstance(value, ThriftService)]
        others = f"but these services: {', '.join(services)}" if services else "and no rpc.ThriftService"
        raise ConfigurationError(f"{name}: {module.__name__} has no {attribute!r}, {others}")
    service = getattr(module, attribute)
    if not isinstance(service, ThriftService):
        raise ConfigurationError(f"{name}: is of the type {type(service).__name__}, not an rpc.ThriftService")
    return service


def _last_line(error: BaseException) -> str:
    """Return an import's error with the file and line that raised it, instead of a traceback."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    ours = (__file__, importlib.__file__)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in ours and not frame.filename.startswith("<frozen")
    ]
    if isinstance(error, SystemExit):  # the line of the module says more than that of sys.exit
        return f"it ends the program ({frames[0].filename}, line {frames[0].lineno})"
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


def makeService(options: Options) -> IService:
    """Return the service that twistd runs."""
    service: ObservedService = options["service"]
    return service
