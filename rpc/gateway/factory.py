"""Makes the connections of a gateway's clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, ServerFactory

from rpc.gateway.connections import Connections
from rpc.gateway.forwarder import Forwarder
from rpc.gateway.options import GatewayOptions
from rpc.interfaces import IClock
from rpc.uri import host_and_port


class ClientFactory(ServerFactory):
    """Makes a connection for each client, as long as there may be more."""

    noisy = False

    def __init__(
        self,
        make: Callable[..., Protocol],
        forwarder: Forwarder,
        connections: Connections,
        options: GatewayOptions,
        clock: IClock,
    ) -> None:
        """:param make: makes a connection of the other arguments, and of the client's name."""
        self._make = make
        self._connections = connections
        self._arguments = forwarder, connections, options, clock

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Return the protocol of a connection; ``None``: there are too many, and it is closed."""
        peer = peer_name(addr)
        if not self._connections.has_slot(peer):
            return None
        protocol = self._make(*self._arguments, peer)
        protocol.factory = self
        return protocol

    def log(self, request: Any) -> None:
        """Twisted's line for each request of HTTP: none is written."""


def peer_name(address: Any) -> str:
    """Return an address for the log. Sockets of the file system have none."""
    host = getattr(address, "host", None)
    return "a local socket" if host is None else host_and_port(host, address.port)
