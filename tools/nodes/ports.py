"""TCP ports of the loopback interface that this process alone hands out, to the servers that it starts.

A server takes some seconds until it listens on its port, and does not listen while it is down. Meanwhile nothing but
this process knows that the port is taken: several processes run tests at the same time. So each process claims blocks
of ports.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

PORTS = range(20000, 32000)
"""Below the range from which the kernel takes ports for outgoing connections."""

BLOCK = 100
"""Ports that are claimed at once."""


def own_ports() -> Iterator[int]:
    """Yield ports, each of them once in the life of all processes that run now."""
    blocks = [*range(PORTS.start, PORTS.stop, BLOCK)]
    random.SystemRandom().shuffle(blocks)
    for first in blocks:
        if _claim(first):
            yield from range(first, first + BLOCK)


def _claim(first: int) -> bool:
    """Claim a block, and return whether no other process has it.

    The claim is a socket with an abstract address (unix(7)), which the kernel removes when the process ends. Such an
    address belongs to a network namespace, as ports do.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0thrift-amqp-rpc ports from {first}")
    except OSError:
        claim.close()
        return False
    claim.detach()  # it stays open until the process ends
    return True
