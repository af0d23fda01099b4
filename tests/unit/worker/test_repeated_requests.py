"""A worker that remembers its calls, when requests come again."""

from __future__ import annotations

from thrift.Thrift import TMessageType

from rpc.worker.service import Deduplicate
from tests.unit.worker.again_case import BINARY, AgainTestCase


class DeduplicationTests(AgainTestCase):
    """A call that is sent again is not run again."""

    def setUp(self) -> None:
        self.serve(deduplicate=Deduplicate(seconds=60.0), concurrency=4)

    def test_repeats_the_reply_to_a_repeated_request(self) -> None:
        """A repeated request gets the reply of the first, with properties of its own, and is acked."""
        first = self.request("add", message_id="m")
        body = self.reply().body
        second = self.request("add", message_id="m", correlation_id="other", reply_to="amq.gen-replies", again=True)
        published = self.reply()
        self.assertEqual((published.body, published.properties.correlation_id), (body, "other"))
        self.assertEqual((self.handler.ran, self.acked()), (["add"], [first, second]))

    def test_joins_a_request_to_its_call_in_progress(self) -> None:
        """A repeated request shares the reply of the call in progress, and takes no slot."""
        tags = [self.request(message_id="m", correlation_id=each) for each in "abc"]
        self.assertEqual((len(self.handler.held), self.worker.running, self.acked()), (1, 1, []))
        self.handler.held[0].callback(5)
        self.assertEqual([reply.properties.correlation_id for reply in self.wire.take()], ["a", "b", "c"])
        self.assertEqual((self.acked(), self.worker.running), (tags, 0))

    def test_answers_a_request_that_joined_one_without_a_reply_queue(self) -> None:
        """A replayed dead letter has none. An attempt of its caller is answered, during the run and after it."""
        self.request(message_id="m", reply_to=None)
        self.request(message_id="m", correlation_id="b")
        self.handler.held[0].callback(5)
        during = self.reply()
        self.request(message_id="m", correlation_id="c")
        after = self.reply()
        self.assertEqual([each.properties.correlation_id for each in (during, after)], ["b", "c"])
        self.assertEqual(BINARY.read_header(after.body)[1], TMessageType.REPLY)
        self.assertEqual((during.body, self.handler.ran), (after.body, ["calculate 1"]))

    def test_runs_requests_that_are_not_repeated(self) -> None:
        """The id and the body have to be equal. A request without an id always runs."""
        self.request("add", message_id="m")
        self.request("zip", message_id="m")
        self.request("add", message_id="n")
        self.request("add")
        self.request("add")
        self.assertEqual(self.handler.ran, ["add", "zip", "add", "add", "add"])

    def test_does_not_repeat_a_oneway_call(self) -> None:
        """It has no reply, and is remembered all the same."""
        self.request("zip", message_id="m", reply_to=None)
        tag = self.request("zip", message_id="m", reply_to=None)
        self.assertEqual((self.handler.ran, self.acked()), (["zip"], [1, tag]))

    def test_does_not_repeat_a_failed_call(self) -> None:
        """The INTERNAL_ERROR of the first run is the reply to the second request."""
        self.handler.answer = lambda: 1 / 0
        for _ in range(2):
            self.request("add", message_id="m")
            self.assert_internal_error()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_runs_a_cancelled_call_again(self) -> None:
        """It has no reply to remember."""
        self.request(message_id="m", expiration="1000")
        self.request(message_id="m", expiration="1000")
        self.wire.clock.advance(1.01)
        self.assertEqual((self.acked(), self.wire.take()), ([1, 2], []))
        self.request("calculate", message_id="m")
        self.assertEqual(len(self.handler.held), 2)

    def test_joins_a_redelivered_request_after_a_lost_channel(self) -> None:
        """The new delivery is acked on the new channel, and the caller gets one reply."""
        self.request(message_id="m")
        self.wire.close_channel()
        self.worker.open()
        tag = self.request(message_id="m", again=True)
        self.assertEqual(self.wire.take(), [])
        self.handler.held[0].callback(5)
        self.assertEqual(len(self.wire.take()), 1)  # one reply to one caller
        self.assertEqual(self.settled(), [("ack", tag, False)])

    def test_runs_repeated_requests_without_the_option(self) -> None:
        """The option is off by default."""
        self.serve()
        for _ in range(2):
            self.request("add", message_id="m")
        self.assertEqual(self.handler.ran, ["add", "add"])
