"""The embedded broker as a program that tests control: ``python -m tools.nodes.embedded_program SETTINGS``.

SETTINGS is JSON: ``port``, ``users``, ``vhosts``, ``compatibility`` and ``state`` of a BrokerServer. The program writes
its port when it listens, and then answers each line of its input, ``[operation, argument, ...]``, by the error it met,
or ``null``. When its input ends, it stops in order. Its log goes to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python import log
from twisted.python.failure import Failure

from rpc.broker.broker import Broker
from rpc.broker.server import BrokerServer


class Operations(LineOnlyReceiver):
    """The operations that standard input requests.

    :ivar ended: fires at the end of the input.
    """

    delimiter = b"\n"

    def __init__(self, broker: Broker) -> None:
        self.ended: Deferred[None] = Deferred()
        self._operations: dict[str, Callable[..., None]] = {
            "add_virtual_host": broker.add_vhost,
            "add_user": broker.add_user,
            "close_connections": broker.close_connections,
            "set_memory_alarm": broker.set_alarm,
        }

    def say(self, answer: Any) -> None:
        """Write a line."""
        self.sendLine(json.dumps(answer).encode())

    def lineReceived(self, line: bytes) -> None:
        error = None
        name, *arguments = json.loads(line)
        try:
            self._operations[name](*arguments)
        except Exception as caught:
            error = repr(caught)
        self.say(error)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.ended.callback(None)


async def main(reactor: Any, settings: str) -> None:
    """Serve until the input ends."""
    server = BrokerServer(reactor, **json.loads(settings))
    server.startService()
    await server.when_listening()
    operations = Operations(server.broker)
    StandardIO(operations)
    operations.say(server.port)
    await operations.ended
    await server.stopService()


if __name__ == "__main__":
    log.startLogging(sys.stderr, setStdout=False)
    task.react(main, sys.argv[1:])
