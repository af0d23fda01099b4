"""Faults that a test injects into the embedded broker: messages that are lost, late, doubled or unroutable."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

import attrs
from twisted.internet.interfaces import IDelayedCall

from rpc.amqp.codec.properties import TYPE, decode_text, split_properties
from rpc.broker.broker import Broker
from rpc.broker.message import Message
from rpc.broker.publishing import Target
from rpc.broker.queue import Queue
from rpc.errors import ConfigurationError
from rpc.headers import CANCEL, QUARANTINE
from rpc.topology import DEAD

_NO_CALLS = (None, CANCEL, QUARANTINE)
"""Types of messages that are neither request nor reply; ``None`` is that of keepalives."""

Fate: TypeAlias = "tuple[bool, list[Target]]"
"""Whether a message counts as routed, and the queues that get it."""


@attrs.define(eq=False)
class Fault:
    """One fault: the messages that it strikes, and their number so far.

    :ivar service: the service's name on the wire.
    :ivar method: one of its methods; ``None``: all.
    :ivar of_replies: whether it strikes replies; else it strikes requests.
    :ivar left: the number of messages that it will still strike; ``None``: no limit.
    :ivar met: the number of messages that it has struck.
    """

    service: str
    method: str | None
    of_replies: bool
    left: int | None
    _strike: Callable[[Message, list[Target]], Fate]
    met: int = 0

    def concerns(self, service: str, method: str, is_reply: bool) -> bool:
        """Whether it strikes a request or reply of this method."""
        return (
            self.left != 0 and self.of_replies is is_reply and self.service == service and self.method in (None, method)
        )

    def strike(self, message: Message, targets: list[Target]) -> Fate:
        """Apply it to a message, and return the message's fate."""
        self.met += 1
        if self.left is not None:
            self.left -= 1
        return self._strike(message, targets)

    def end(self) -> None:
        """Strike no more messages."""
        self.left = 0


class Faults:
    """The faults of one broker. When several concern a message, the one that was made first strikes.

    Each takes ``call``, ``"Service.method"`` or ``"Service"``, by the service's name on the wire; ``times``, the number
    of messages that it strikes, ``None`` for all until :meth:`Fault.end`; and ``of_replies``, to strike replies instead
    of requests.

    A request is also a copy of one that a worker republishes. A dead letter, a cancellation, a keepalive and a notice
    of the quarantine is neither request nor reply.
    """

    def __init__(self, broker: Broker, services: Collection[str] = ()) -> None:
        """
        :param services: names of services: a name may have dots, and only this list tells it from ``Service.method``
            then.
        """
        self._broker = broker
        self._services = services
        self._faults: list[Fault] = []
        self._delayed: list[IDelayedCall] = []

    def drop(self, call: str, *, times: int | None = 1, of_replies: bool = False) -> Fault:
        """Lose messages: the broker confirms them, and delivers them to no queue."""
        return self._add(call, times, of_replies, lambda message, targets: (True, []))

    def unroutable(self, call: str, *, times: int | None = 1, of_replies: bool = False) -> Fault:
        """Return messages as if nothing were bound to their key: the caller sees ``ServiceUnavailable``."""
        return self._add(call, times, of_replies, lambda message, targets: (False, []))

    def duplicate(self, call: str, *, times: int | None = 1, of_replies: bool = False) -> Fault:
        """Deliver messages twice."""
        return self._add(call, times, of_replies, lambda message, targets: (bool(targets), targets * 2))

    def delay(self, call: str, seconds: float, *, times: int | None = 1, of_replies: bool = False) -> Fault:
        """Delay messages by so many seconds of the harness's clock.

        :raises ConfigurationError: `seconds` is negative or not finite.
        """
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
        """Have the broker accept no messages, as when its memory is short: callers see ``BrokerBlocked``."""
        self._broker.set_alarm(True)

    def unblock(self) -> None:
        """Have the broker accept messages again."""
        self._broker.set_alarm(False)

    def disconnect(self) -> None:
        """Close all connections, as an operator does; clients and workers connect again."""
        self._broker.close_connections("a fault of the test")

    def clear(self) -> None:
        """End all faults. Delayed messages are lost."""
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
        service, method = self._service_and_method(call)
        fault = Fault(service, method, of_replies, times, strike)
        self._faults.append(fault)
        self._broker.tamper = self._tamper
        return fault

    def _service_and_method(self, call: str) -> tuple[str, str | None]:
        service, _, method = call.rpartition(".")
        return (call, None) if call in self._services or not service else (service, method)

    def _tamper(self, message: Message, targets: list[Target]) -> Fate:
        encoded = split_properties(message.properties)[TYPE]
        label = None if encoded is None else decode_text(encoded)
        if label not in _NO_CALLS and message.exchange != DEAD:
            service, _, method = label.rpartition(".")
            service = service.partition("@")[0]  # <service>@<instance> when the request is for one worker
            is_reply = _is_reply(message, targets)
            for fault in self._faults:
                if fault.concerns(service, method, is_reply):
                    return fault.strike(message, targets)
        return bool(targets), targets


def _is_reply(message: Message, targets: list[Target]) -> bool:
    """A reply goes by the default exchange to a client's exclusive queue; a republished request, to a shared queue."""
    return message.exchange == "" and not any(isinstance(target, Queue) and target.owner is None for target in targets)
