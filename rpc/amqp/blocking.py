"""Why no messages should be published on a connection: the broker's alarm, or too many unsent bytes."""

from __future__ import annotations

from collections.abc import Callable

from rpc import log


class Blocking:
    """The two reasons of one connection. The alarm comes first (RabbitMQ extension, connection.blocked)."""

    __slots__ = ("_alarm", "_changed", "_congested", "_name")

    def __init__(self, name: str, changed: Callable[[str | None], None]) -> None:
        """:param changed: called with the present reason, or ``None``, after each change."""
        self._name = name
        self._changed = changed
        self._alarm: str | None = None
        self._congested: str | None = None

    def set_alarm(self, reason: str | None) -> None:
        """Note the broker's alarm, or its end (``None``)."""
        self._alarm = reason
        self._changed(self._alarm or self._congested)

    def set_unsent(self, unsent: int) -> None:
        """Note the unsent bytes of a broker that does not read; 0 when all are sent."""
        self._congested = f"it does not read, and {unsent} bytes are unsent" if unsent else None
        log.warn(f"{self._name}: the broker is congested: {self._congested or 'no longer'}")
        self._changed(self._alarm or self._congested)
