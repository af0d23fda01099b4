"""A time limit for an answer of the broker, fair to a suspended process and to a broker under alarm."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from rpc.amqp.protocol import AMQPConnection
from rpc.interfaces import IClock

STEP = 10.0
"""Seconds of a step. After each one the reactor reads from its sockets, before the next step begins."""

STEPS = 3

ANSWER_LIMIT = STEPS * STEP
"""Seconds that the broker has for an answer."""


class AnswerLimit:
    """Calls a function when the broker does not answer in time.

    Time counts in steps. In a process that was suspended, or whose reactor was blocked, one timer of the whole limit
    would fire before the answer is read, which may have come long ago.
    """

    def __init__(
        self,
        clock: IClock,
        connection: AMQPConnection,
        overdue: Callable[[], object],
        blocked: Callable[[str], None],
    ) -> None:
        """
        :param overdue: called once, after ``ANSWER_LIMIT`` seconds.
        :param blocked: called instead with the reason while the connection is blocked; then the limit begins again.
            During an alarm RabbitMQ does not read from a connection that publishes
            (https://www.rabbitmq.com/docs/connection-blocked), so nothing is answered before the alarm is over.
        """
        self._clock = clock
        self._connection = connection
        self._overdue = overdue
        self._blocked = blocked
        self._steps = 0
        self._timer: IDelayedCall | None = clock.callLater(STEP, self._turn)

    def cancel(self) -> None:
        """Call nothing any more: the broker has answered, or the answer does not matter. Again does nothing."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _turn(self) -> None:
        self._timer = self._clock.callLater(0, self._step)

    def _step(self) -> None:
        self._steps += 1
        if self._steps < STEPS:
            self._timer = self._clock.callLater(STEP, self._turn)
        elif self._connection.blocked is None:
            self._timer = None
            self._overdue()
        else:
            self._steps = 0
            self._timer = self._clock.callLater(STEP, self._turn)
            self._blocked(self._connection.blocked)
