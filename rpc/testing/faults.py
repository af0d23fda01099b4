"""Faults on demand, in the embedded broker: messages of calls that get lost, late, doubled or nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs
from twisted.internet.interfaces import IDelayedCall

from rpc.amqp.codec.properties import TYPE, decode_text, split_properties
from rpc.broker.broker import Broker
from rpc.broker.message import Message
from rpc.broker.publishing import Target
from rpc.broker.queue import Queue
from rpc.errors import ConfigurationError

Fate: TypeAlias = "tuple[bool, list[Target]]"
"""Whether a message counts as routed, and where it goes."""


@attrs.define(eq=False)
class Fault:
    """One fault: which messages it is for, and how many it has met.

    :ivar call: ``"Service.method"``, or ``"Service"`` for all of its methods; the service's name on the wire.
    :ivar of_replies: whether it is for replies; else it is for requests.
    :ivar left: how many more it is for; ``None``: all.
    :ivar met: how many it was for.
    """

    call: str
    of_replies: bool
    left: int | None
    _strike: Callable[[Message, list[Target]], Fate]
    met: int = 0

    def concerns(self, call: str, is_reply: bool) -> bool:
        """Whether it is for the request or reply of `call`."""
        return (
            self.left != 0
            and self.of_replies is is_reply
            and (call == self.call or call.partition(".")[0] == self.call)
        )

    def strike(self, message: Message, targets: list[Target]) -> Fate:
        """Let it befall a message."""
        self.met += 1
        if self.left is not None:
            self.left -= 1
        return self._strike(message, targets)

    def end(self) -> None:
        """Let it befall no more messages."""
        self.left = 0


class Faults:
    """The faults of one broker. Of several that are for a message, the first one made befalls it.

    Each takes ``call``, ``"Service.method"`` or ``"Service"``; ``times``, how many messages it is for, ``None`` for all
    until :meth:`Fault.end`; and ``of_replies``, for the replies instead of the requests.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._faults: list[Fault] = []
        self._delayed: list[IDelayedCall] = []

    def drop(self, call: str, *, times: int | None = 1, of_replies: bool = False) -> Fault:
        """Lose messages: the broker confirms them, and nobody gets them."""
        return self._add(call, times, of_replies, lambda message, targets: (True, []))

    def unroutable(self, call: str, *, times: int | None = 1, of_replies: bool = False) -> Fault:
        """Return messages as if nothing were bound to their key: the caller sees ``ServiceUnavailable``."""
        return self._add(call, times, of_replies, lambda message, targets: (False, []))

    def duplicate(self, call: str, *, times: int | None = 1, of_replies: bool = False) -> Fault:
        """Deliver messages twice."""
        return self._add(call, times, of_replies, lambda message, targets: (bool(targets), targets * 2))

    def delay(self, call: str, seconds: float, *, times: int | None = 1, of_replies: bool = False) -> Fault:
        """Hold messages up for so many seconds, by the stage's clock."""
        if not 0 <= seconds < float("inf"):
            raise ConfigurationError(f"seconds={seconds!r}: must be a number of seconds, 0 or more")

        def hold(message: Message, targets: list[Target]) -> Fate:
            def let_go() -> None:
                for target in targets:
                    target.publish(message)

            self._delayed.append(self._broker.clock.callLater(seconds, self._broker.run_pass, let_go))
            return bool(targets), []

        return self._add(call, times, of_replies, hold)

    def block(self) -> None:
        """Have the broker take no messages, as when its memory is short: callers see ``BrokerBlocked``."""
        self._broker.set_alarm(True)

    def unblock(self) -> None:
        """Have it take messages again."""
        self._broker.set_alarm(False)

    def disconnect(self) -> None:
        """Close all connections, as an operator does; they come back by themselves."""
        self._broker.close_connections("a fault of the test")

    def clear(self) -> None:
        """End all faults; what is held up is lost."""
        self._faults.clear()
        self._broker.tamper = None
        for call in self._delayed:
            if call.active():
                call.cancel()
        self._delayed.clear()
        self.unblock()

    def _add(
        self,
        call: str,
        times: int | None,
        of_replies: bool,
        strike: Callable[[Message, list[Target]], Fate],
    ) -> Fault:
        if times is not None and times < 1:
            raise ConfigurationError(f"times={times!r}: must be a whole number above 0, or None for all")
        fault = Fault(call, of_replies, times, strike)
        self._faults.append(fault)
        self._broker.tamper = self._tamper
        return fault

    def _tamper(self, message: Message, targets: list[Target]) -> Fate:
        encoded = split_properties(message.properties)[TYPE]
        if encoded is not None:
            call, is_reply = decode_text(encoded), _is_reply(message, targets)
            for fault in self._faults:
                if fault.concerns(call, is_reply):
                    return fault.strike(message, targets)
        return bool(targets), targets


def _is_reply(message: Message, targets: list[Target]) -> bool:
    """Replies go by the default exchange to a queue of one client; requests that a worker puts elsewhere, to a shared
    one.
    """
    return message.exchange == "" and not any(isinstance(target, Queue) and target.owner is None for target in targets)
