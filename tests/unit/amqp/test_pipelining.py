"""Methods that are sent at once."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.pipelining import all_answered
from rpc.errors import ChannelClosed


class AllAnsweredTests(SynchronousTestCase):
    """Two methods."""

    def test_fires_when_every_answer_has_come(self) -> None:
        """Not before."""
        answers: list[Deferred[Any]] = [Deferred(), Deferred()]
        done = all_answered(answers)
        answers[1].callback("second")
        self.assertNoResult(done)
        answers[0].callback("first")
        self.assertIsNone(self.successResultOf(done))

    def test_fails_with_the_broker_s_error_itself_and_hides_those_behind_it(self) -> None:
        """The reason is that of the first method; no error is left unhandled."""
        answers: list[Deferred[Any]] = [Deferred(), Deferred()]
        done = all_answered(answers)
        for answer in answers:
            answer.errback(ChannelClosed(406, "why"))
        self.failureResultOf(done, ChannelClosed)
