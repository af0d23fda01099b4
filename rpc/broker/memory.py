"""The account of the bytes that the broker holds, and its alarm (RabbitMQ: "Memory Threshold and Limit").

It has two parts, because the broker can do two things about a full one: block the connections that publish messages,
and refuse further definitions.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from rpc.broker.protocol_error import ProtocolError
from rpc.reply_codes import PRECONDITION_FAILED


class Level(enum.Enum):
    """How much is held."""

    FREE = "up to the limit: everything is taken"
    ALARM = "above the limit, or an operator has said so: connections that publish are blocked"
    EXHAUSTED = "above twice the limit: dead letters are dropped, and unfinished contents end their connections"


def level_of(held: int, limit: int, forced: bool) -> Level:
    """Return the level.

    :param forced: whether an operator has set the alarm.
    """
    if held > 2 * limit:
        return Level.EXHAUSTED
    return Level.ALARM if forced or held > limit else Level.FREE


class Memory:
    """The account. Every byte that is taken is released once.

    :ivar held: bytes of ready and unacked messages, with the overhead of each.
    :ivar definitions: bytes of channels, exchanges, queues, bindings and consumers, as :mod:`rpc.broker.sizes`
        estimates them.
    :ivar alarm: whether publishing connections are blocked: the level is not ``FREE``. Each publish reads it.
    """

    __slots__ = ("_forced", "_on_change", "_most_definitions", "alarm", "definitions", "held", "limit")

    def __init__(self, limit: int, most_definitions: int, on_change: Callable[[bool], None]) -> None:
        """
        :param most_definitions: bytes of definitions, at most.
        :param on_change: called with the alarm when it begins and when it ends.
        """
        self.held = 0
        self.definitions = 0
        self._most_definitions = most_definitions
        self.limit = limit
        self.alarm = False
        self._forced = False
        self._on_change = on_change

    @property
    def level(self) -> Level:
        """How much is held now."""
        return level_of(self.held, self.limit, self._forced)

    @property
    def exhausted(self) -> bool:
        """Whether nothing more is taken: the level is ``EXHAUSTED``."""
        return self.held > 2 * self.limit

    def take(self, size: int) -> None:
        """Count bytes that are kept from now on."""
        self.held += size
        if self.held > self.limit and not self.alarm:
            self._update_alarm()

    def release(self, size: int) -> None:
        """Count bytes that are not kept any more."""
        self.held -= size
        if self.alarm:
            self._update_alarm()

    def define(self, what: str, size: int) -> None:
        """Count a definition that is made now.

        :param what: the operation, for the error.
        :raises ProtocolError: 406, there are too many; nothing is counted.
        """
        if self.definitions + size > self._most_definitions:
            problem = f"the limit of {self._most_definitions} bytes for definitions in the broker is reached"
            raise ProtocolError(PRECONDITION_FAILED, f"{problem}: cannot {what}")
        self.definitions += size

    def restore_definition(self, size: int) -> None:
        """Count a definition that the state file has. It is not refused."""
        self.definitions += size

    def forget_definition(self, size: int) -> None:
        """Count a definition that has ended."""
        self.definitions -= size

    def clear(self) -> None:
        """Count nothing any more: all is dropped."""
        self.definitions = 0
        self.release(self.held)

    def force_alarm(self, on: bool) -> None:
        """Set the alarm at any level, as an operator does; or leave it to the account again."""
        self._forced = on
        self._update_alarm()

    def _update_alarm(self) -> None:
        alarm = self.level is not Level.FREE
        if alarm is not self.alarm:
            self.alarm = alarm
            self._on_change(alarm)
