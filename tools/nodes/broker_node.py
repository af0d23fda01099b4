"""The interface of a private broker node: RabbitMQ (``rabbitmq.py``) or the embedded broker (``embedded.py``).

Tests that use only these operations run on both brokers.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol


class BrokerNode(Protocol):
    """A private broker on the loopback interface, with processes and a folder of its own.

    As a context manager it starts on entry and is closed on exit. All methods block,
    and raise :exc:`tools.nodes.rabbitmq.NodeFailed`.

    :ivar port: on which it listens, the same over the node's whole life.
    :ivar url: its ``amqp://`` URI, as user guest in virtual host ``/``.
    """

    port: int
    url: str

    def start(self) -> BrokerNode:
        """Launch the broker, and return it once it answers. Users and virtual hosts of earlier runs are there again."""

    def stop(self) -> None:
        """Shut the broker down in order: connections are closed with 320. Harmless when it does not run."""

    def kill(self) -> None:
        """End the broker by SIGKILL, as a crash would; :meth:`start` brings it back on the same port."""

    def restart(self) -> None:
        """Shut the broker down in order, and start it again."""

    def close(self) -> None:
        """Stop the broker and remove its folder; it cannot be used again."""

    def add_virtual_host(self, name: str) -> None:
        """Create a virtual host, open to guest."""

    def add_user(self, name: str, password: str, virtual_host: str) -> None:
        """Create a user with all permissions in one virtual host, which exists."""

    def change_password(self, name: str, password: str) -> None:
        """Change the password of a user that exists. Connections that are open stay open."""

    def close_connections(self, reason: str, virtual_host: str | None = None) -> None:
        """Close all connections, or those to one virtual host, as an operator: code 320, with the reason."""

    def set_memory_alarm(self, on: bool) -> None:
        """Have the broker behave as if memory had run out, or as if there were enough again."""

    def __enter__(self) -> BrokerNode: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
