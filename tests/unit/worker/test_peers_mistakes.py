"""Messages of careless and of hostile peers that are neither requests nor well made."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException

from rpc.context import current_call
from rpc.errors import CodecError
from rpc.headers import CANCEL
from rpc.messages import Properties
from rpc.worker.republisher import Republisher
from tests.unit.worker.again_case import DIRECT_KEY, AgainTestCase
from tests.unit.worker.served import OWN


class CancellationTests(AgainTestCase):
    """Bodies of cancellations."""

    def cancel(self, body: bytes) -> None:
        """Deliver a cancellation."""
        self.wire.deliver(body, Properties(type=CANCEL), OWN, routing_key=DIRECT_KEY)

    def test_an_empty_line_names_no_call(self) -> None:
        """A text that ends with a line feed, or is empty, does not cancel the calls of peers with empty ids."""
        self.request(message_id="")
        for body in (b"", b"\n", b"other\n"):
            self.cancel(body)
        self.request("add", message_id="")
        self.assertEqual(
            (self.handler.ran, list(self.worker.in_progress.cancelled)), (["calculate 1", "add"], [b"other"])
        )
        self.handler.held[0].callback(1)


class ManyHeadersTests(AgainTestCase):
    """Requests with more headers than a worker reads."""

    def test_the_caller_is_told_and_the_request_is_kept(self) -> None:
        """The letter has the other properties. The headers, which may route it, are not read, and so are left out."""
        many = {"CC": ["other"], **{str(number): number for number in range(600)}}
        self.request("add", message_id="m", expiration="1000", headers=many)
        reply, letter = self.wire.take()
        error = self.exception(reply)
        self.assertEqual(error.type, TApplicationException.PROTOCOL_ERROR)
        self.assertIn("the headers have more than 600 values", str(error))
        self.assertEqual((letter.routing_key, letter.properties.message_id), ("Calculator@invalid", "m"))
        self.assertEqual([*(letter.properties.headers or {})], ["rpc-dead-reason"])
        self.assertEqual((self.handler.ran, self.acked()), ([], [1]))


class ReplyHeadersTests(AgainTestCase):
    """Headers that a handler sets."""

    def test_reply_headers_that_do_not_fit_into_a_frame_are_an_error_of_the_handler(self) -> None:
        """The caller is told at once, and does not wait for its deadline."""
        self.assert_refused({"filling": "x" * 131_000})

    def test_too_many_reply_headers_are_an_error_of_the_handler(self) -> None:
        """A client would not read them."""
        self.assert_refused({"array": [None] * 500})

    def assert_refused(self, headers: dict[str, Any]) -> None:
        """Check that a handler cannot send such headers."""

        def answer() -> int:
            call = current_call()
            assert call is not None
            call.reply_headers.update(headers)
            return 3

        self.handler.answer = answer
        self.request("add", message_id="m", expiration="1000")
        (reply,) = self.wire.take()
        self.assertEqual(self.exception(reply).type, TApplicationException.INTERNAL_ERROR)
        self.assertEqual((self.acked(), reply.properties.headers or {}), ([1], {}))
        self.assertEqual(len(self.flushLoggedErrors(CodecError)), 1)


class FullHeadersTests(AgainTestCase):
    """Requests whose headers fill a frame, so that no other header can be added."""

    def setUp(self) -> None:
        self.serve(Republisher())
        limit = self.wire.channel.client.max_body_frame
        self.headers = {"filling": "x" * (limit - 12 - 2 - 4 - 8 - 4 - 18 - 4)}

    def test_a_copy_that_does_not_fit_when_the_channel_opens_becomes_a_dead_letter(self) -> None:
        """It is not tried again and again, and the drain does not wait for it."""
        self.request(again=True, message_id="m", headers=self.headers)
        self.wire.open_beside(self.worker.republisher)
        self.wire.clock.advance(2.0)
        self.wire.settle()
        published = self.wire.take()
        self.assertEqual([each.routing_key for each in published], ["amq.gen-replies", "Calculator@unserved"])
        self.assertEqual(self.acked(), [1])
        drained = self.worker.drain(1.0)
        self.wire.settle()
        self.successResultOf(drained)
