"""``twistd rpc-broker``: the embedded broker as a process of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from twisted.application.service import IService
from twisted.python import usage

from rpc.broker.compatibility import COMPATIBILITY, RABBITMQ_4
from rpc.broker.limits import MEGABYTE, Limits
from rpc.broker.server import BrokerServer
from rpc.cli.twistd_options import check_user, end_unless_listening, one_line, prepared
from rpc.default_reactor import default_reactor
from rpc.errors import ConfigurationError
from rpc.small_files import read_text

LARGEST_PORT = 2**16 - 1


class Options(usage.Options):
    """The command line. An error in it ends the process with one message and status 1."""

    synopsis = "[options]"
    longdesc = (
        "Runs an AMQP 0-9-1 broker in this process, to try, develop and test on one machine. It is not for production: "
        "use RabbitMQ there. Without --user the broker has the user guest, password guest, which may connect from this "
        "machine only. Ends on SIGTERM or SIGINT."
    )
    optParameters = [  # noqa: RUF012  # Twisted reads it from the class
        ["port", "p", "5672", "TCP port to listen on; 0: a free port, which the log names."],
        ["interface", "i", "127.0.0.1", "Address to listen on; 0.0.0.0: all IPv4 addresses of this machine."],
        [
            "state",
            "s",
            None,
            (
                "SQLite file that keeps durable exchanges, queues and bindings and their persistent messages from one "
                "run to the next; created when it is missing. Default: they are lost at the end."
            ),
        ],
        [
            "memory-limit",
            "m",
            str(Limits().memory // MEGABYTE),
            "Megabytes of messages in memory from which on publishers are blocked.",
        ],
        [
            "definitions-limit",
            "d",
            str(Limits().definitions // MEGABYTE),
            "Megabytes of channels, exchanges, queues, bindings and consumers from which on further ones are refused.",
        ],
        [
            "compatibility",
            "c",
            str(RABBITMQ_4.version),
            "Major version of RabbitMQ, 3 or 4, whose answers to give where they differ.",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self._users: dict[str, str] = {}
        self._vhosts = ["/"]

    @one_line
    def opt_user(self, user: str) -> None:
        """NAME:PASSWORD of a user that may connect, also from other machines; may be given several times. guest may
        then connect only when it is named, too. Every user of this machine can read the command line, and the password:
        see --users.
        """
        self._add_user("--user", user)

    @one_line
    def opt_users(self, path: str) -> None:
        """File of users as --user has them: one NAME:PASSWORD a line; empty lines are skipped. It is read once, at the
        start; may be given several times.
        """
        for number, line in enumerate(read_text("--users", path).splitlines(), 1):
            if line.strip():
                self._add_user(f"--users={path}, line {number}", line)

    def _add_user(self, where: str, user: str) -> None:
        name, colon, password = user.partition(":")
        if not (name and colon and password):  # not shown: it may be a password
            raise usage.UsageError(f"{where}: write it as NAME:PASSWORD")
        if name in self._users:
            raise usage.UsageError(f"{where}: {name} is given twice")
        self._users[name] = password

    @one_line
    def opt_vhost(self, name: str) -> None:
        """Name of a virtual host beside "/"; may be given several times."""
        if not name:
            raise usage.UsageError("--vhost: a virtual host has a name")
        self._vhosts.append(name)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line. An unknown or malformed option ends the process with one line, too."""
        with prepared(self, "rpc-broker"):
            try:
                super().parseOptions(options)
            except usage.UsageError as error:
                raise ConfigurationError(str(error)) from error

    def postOptions(self) -> None:
        """Build the broker here, where an error can still be reported in one line.

        :raises UsageError: an option's value is not allowed.
        :raises ConfigurationError: the daemon's user cannot run it, or the broker refuses a value.
        """
        memory = self._whole_number("memory-limit", 1, sys.maxsize // MEGABYTE) * MEGABYTE
        definitions = self._whole_number("definitions-limit", 1, sys.maxsize // MEGABYTE) * MEGABYTE
        port = self._whole_number("port", 0, LARGEST_PORT)
        compatibility = self._whole_number("compatibility", min(COMPATIBILITY), max(COMPATIBILITY))
        check_user(self, [])
        self["broker"] = BrokerServer(
            default_reactor(),
            port=port,
            interface=self["interface"],
            users=self._users or None,
            vhosts=dict.fromkeys(self._vhosts),
            limits=Limits(memory=memory, definitions=definitions),
            compatibility=compatibility,
            state=self["state"],
        )

    def _whole_number(self, option: str, least: int, most: int) -> int:
        text: str = self[option]
        if not (re.fullmatch("[0-9]{1,20}", text) and least <= int(text) <= most):
            raise usage.UsageError(f"--{option}: {text!r} is no whole number from {least} to {most}")
        return int(text)


def makeService(options: Options) -> IService:
    """Return the service that twistd runs. If it cannot listen, the log says why in one line; the exit status is 1."""
    broker: BrokerServer = options["broker"]
    end_unless_listening("rpc-broker", broker.when_listening())
    return broker
