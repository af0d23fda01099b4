"""Requests with ``acknowledge="before"``, between their ack and their begin."""

from __future__ import annotations

from thrift.Thrift import TApplicationException

from tests.unit.worker.again_case import AgainTestCase
from tests.unit.worker.served import QUARANTINE


class BetweenAckAndBeginTests(AgainTestCase):
    """A request is decided on again when the broker has taken its ack."""

    def setUp(self) -> None:
        self.serve(acknowledge="before", deduplicate=True, concurrency=4)

    def test_a_second_delivery_of_a_call_joins_the_first(self) -> None:
        """Both came in one read, so neither ran when the other arrived."""
        self.request(message_id="m", correlation_id="a")
        self.request(message_id="m", correlation_id="b")
        self.wire.settle()
        self.assertEqual((len(self.handler.held), self.worker.running), (1, 1))
        self.handler.held[0].callback(1)
        self.assertEqual([reply.properties.correlation_id for reply in self.wire.take()], ["a", "b"])
        self.assertEqual(self.worker.running, 0)

    def test_a_call_that_was_answered_meanwhile_is_answered_again(self) -> None:
        """The first run ended at once."""
        self.request("add", message_id="m", correlation_id="a")
        self.request("add", message_id="m", correlation_id="b")
        self.wire.settle()
        self.assertEqual((self.handler.ran, len(self.wire.take())), (["add"], 2))

    def test_a_call_that_was_cancelled_meanwhile_does_not_begin(self) -> None:
        """Nor does one whose deadline has passed."""
        self.request("add", message_id="m")
        self.request("add", message_id="n", expiration="100")
        self.worker.dispatcher.cancel([b"m"])
        self.wire.clock.advance(0.2)
        self.wire.settle()
        self.assertEqual((self.handler.ran, self.worker.running, self.wire.take()), ([], 0, []))

    def test_a_call_does_not_begin_after_the_end_of_a_drain(self) -> None:
        """The broker's answer comes when the worker has given the call up."""
        self.wire.settle()
        self.request("add", message_id="m")
        drained = self.worker.drain(0.0)
        self.worker.server.abandon()
        self.worker.dispatcher.stop()
        self.wire.settle()
        self.successResultOf(drained)
        self.assertEqual((self.handler.ran, self.worker.running), ([], 0))

    def test_the_ack_is_written_before_the_question_whether_it_was_taken(self) -> None:
        """The broker takes methods in order, so its answer tells that it has taken the ack."""
        self.wire.settle()
        self.wire.methods.clear()
        self.request("add", message_id="m")
        self.wire.answer()
        self.assertEqual([name for name, _ in self.wire.methods], ["basic.ack", "basic.qos"])

    def test_a_call_whose_channel_is_lost_before_the_ack_is_taken_does_not_begin(self) -> None:
        """The broker may deliver it again."""
        self.request("add", message_id="m")
        self.wire.close_channel()
        self.wire.settle()
        self.assertEqual((self.handler.ran, self.worker.running), ([], 0))


class RepeatedTests(AgainTestCase):
    """A request that may have begun before."""

    def setUp(self) -> None:
        self.serve(acknowledge="before")

    def test_a_redelivered_call_is_not_run_and_its_caller_is_told(self) -> None:
        """The caller cannot take the answer for a call that was surely not run."""
        tag = self.request("add", message_id="m", again=True)
        (reply,) = self.wire.take()
        error = self.exception(reply)
        self.assertEqual(error.type, TApplicationException.INTERNAL_ERROR)
        self.assertIn("Calculator.add: the request may have been run before", str(error))
        self.assertIsNone(reply.properties.headers)
        self.assertEqual((self.handler.ran, self.acked()), ([], [tag]))

    def test_a_redelivered_oneway_call_becomes_a_dead_letter(self) -> None:
        """Its caller cannot be told."""
        tag = self.request("zip", message_id="m", again=True, reply_to=None)
        (letter,) = self.wire.take()
        self.assertEqual((letter.exchange, self.handler.ran, self.acked()), ("rpc.dead", [], [tag]))

    def test_a_copy_of_a_request_that_may_have_begun_is_not_run(self) -> None:
        """A worker with other options has counted a begin, and its copy is no redelivery to the broker."""
        for consumer in ("c2", QUARANTINE):
            tag = self.request("add", consumer, message_id="m", headers={"rpc-deliveries": 1})
            self.assertIn("may have been run before", str(self.exception(self.wire.take()[0])))
            self.assertEqual((self.handler.ran, self.acked()), ([], [tag]))
        self.request("add", message_id="n", headers={"rpc-deliveries": 0})
        self.wire.settle()
        self.assertEqual(self.handler.ran, ["add"])
