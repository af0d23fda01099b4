"""What the embedded broker answers otherwise than RabbitMQ does, and why; ``docs/broker.md`` tells users of it."""

from __future__ import annotations

import re

import attrs


@attrs.frozen
class Known:
    """An explanation of differences.

    :ivar probe: whose lines differ: ``pika``, ``py-amqp`` or ``amqplib``.
    :ivar lines: a regular expression that begins a line, RabbitMQ's or the embedded broker's: ``scenario: what``.
    :ivar reason: why the embedded broker may differ there.
    """

    probe: str
    lines: str
    reason: str

    def explains(self, *lines: str | None) -> bool:
        """Whether one of two lines that differ is meant."""
        return any(line is not None and re.match(self.lines, line) is not None for line in lines)


KNOWN: tuple[Known, ...] = ()
"""Each must explain a difference that is still there."""
