"""The base of tests of questions to many workers: events end their waits, where seconds would be too few at times."""

from __future__ import annotations

from typing import Any

from rpc.amqp.content import Delivery
from rpc.client import gathering
from rpc.client.gathered import End
from tests.integration.amqp_case import AMQPTestCase, later

WAIT = 20.0
"""Seconds, for questions that end before: their answers are all expected, or the test ends their wait."""


class Replies(gathering._Replies):
    """The replies to a question.

    :ivar came: how many have come.
    """

    came = 0

    def replied(self, delivery: Delivery) -> None:
        super().replied(delivery)
        self.came += 1

    @property
    def blocked(self) -> str | None:
        """Why the broker blocks the connection."""
        return self._channel.client.blocked

    def end_wait(self) -> None:
        """Do the same as the end of the wait does."""
        self._end(End.WAITED)

    def lose_channel(self, reason: Exception) -> None:
        """Lose the channel of the question."""
        self._channel.abandon(reason)


class QuestionTestCase(AMQPTestCase):
    """A test of questions.

    :ivar questions: the replies to each question that was sent.
    """

    def setUp(self) -> Any:
        self.questions: list[Replies] = []
        self.patch(gathering, "_Replies", self._new_replies)

    def _new_replies(self, *arguments: Any) -> Replies:
        replies = Replies(*arguments)
        self.questions.append(replies)
        return replies

    async def question_with(self, count: int) -> Replies:
        """Wait until the only question has so many replies, and return them."""
        while not self.questions or self.questions[0].came < count:
            await later(0.01)
        (question,) = self.questions
        return question
