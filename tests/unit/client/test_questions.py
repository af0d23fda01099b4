"""Questions that the broker does not answer: the error says whether it is blocked."""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from rpc.client.connection import Connection
from rpc.client.gathering import SET_UP_LIMIT, gather
from rpc.client.queue_counts import LIMIT, queue_counts
from rpc.control import Control
from rpc.errors import AMQPError, BrokerBlocked, CallTimedOut, Outcome
from tests.unit.amqp.peer import method, outcome_of
from tests.unit.client.caller_in_memory import LinkInMemory
from tests.unit.wire import Wire


class Silent(Wire):
    """A broker that answers nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.link: Any = LinkInMemory()
        self.link.connection = self.peer.connection

    def _agree(self, channel: int, name: str, args: tuple[Any, ...]) -> None:
        """Answer nothing."""

    def gather(self, question: Any) -> Any:
        """As a connection does."""
        return gather(self.link, self.clock, question)


class QuestionTests(SynchronousTestCase):
    """RabbitMQ blocks a connection after a message on it, and then reads nothing. Its notice may come after the next
    question has begun.
    """

    def setUp(self) -> None:
        self.broker = Silent()

    def block(self) -> None:
        self.broker.peer.feed(method(0, "connection.blocked", "low on memory"))

    def ping(self) -> list[Any]:
        return outcome_of(Control(cast(Connection, self.broker)).ping(wait=1.0))

    def test_workers_are_not_asked_while_the_broker_is_silent(self) -> None:
        asked = self.ping()
        self.broker.clock.advance(SET_UP_LIMIT)
        (error,) = asked
        self.assertIsInstance(error, CallTimedOut)
        self.assertIn("the broker does not answer", str(error))
        self.assertIs(error.outcome, Outcome.NOT_SENT)

    def test_workers_are_not_asked_by_a_blocked_connection(self) -> None:
        asked = self.ping()
        self.block()
        self.broker.clock.advance(SET_UP_LIMIT)
        (error,) = asked
        self.assertIsInstance(error, BrokerBlocked)
        self.assertIn("low on memory", str(error))
        self.assertIs(error.outcome, Outcome.NOT_SENT)

    def test_a_queue_is_not_counted_while_the_broker_is_silent(self) -> None:
        asked = outcome_of(queue_counts(self.broker.link, self.broker.clock, "rpc.Calculator"))
        self.broker.clock.advance(LIMIT)
        (error,) = asked
        self.assertIsInstance(error, AMQPError)
        self.assertIn("does not answer about the queue rpc.Calculator", str(error))

    def test_a_queue_is_not_counted_by_a_blocked_connection(self) -> None:
        asked = outcome_of(queue_counts(self.broker.link, self.broker.clock, "rpc.Calculator"))
        self.block()
        self.broker.clock.advance(LIMIT)
        (error,) = asked
        self.assertIsInstance(error, AMQPError)
        self.assertIn("the broker is blocked: low on memory", str(error))
