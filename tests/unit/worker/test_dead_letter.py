"""The dead letter of a rejected request: its queue, and how much of the body it keeps."""

from __future__ import annotations

import hashlib
from typing import Any

from thrift.Thrift import TApplicationException
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.frame_reader import CutBody
from rpc.amqp.codec.properties import decode_properties, encode_properties
from rpc.amqp.content import Delivery
from rpc.messages import Properties
from rpc.topology import DeadLetterKind
from rpc.worker.dead_letter import HEAD_BYTES, LONGEST_REASON, DeadLetter
from rpc.worker.rejection import Rejection, over_the_limit, overloaded, repeated, stopping, too_large
from rpc.worker.request import Request

UNFINISHED, UNSERVED, INVALID = DeadLetterKind.UNFINISHED, DeadLetterKind.UNSERVED, DeadLetterKind.INVALID

REPLIES = "amq.gen-replies"
MALFORMED = Rejection(TApplicationException.PROTOCOL_ERROR, "malformed", poison=True)


def letter(
    body: bytes, rejection: Rejection, reply_to: str | None = REPLIES, headers: dict[str, Any] | None = None
) -> Any:
    """Return kind, body and headers of the letter that a request leaves."""
    channel: Any = None
    encoded = encode_properties(Properties(reply_to=reply_to, headers=headers))
    left = DeadLetter.of(Request(Delivery(channel, 1, False, b"\0\0", encoded, body), 0.0), rejection)
    return left.kind, left.body, dict(decode_properties(left.properties()).headers or {})


class DeadLetterTests(SynchronousTestCase):
    """DeadLetter."""

    def test_a_kind_for_each_rejection(self) -> None:
        """A rejection without a kind is for requests that any caller can send."""
        for rejection, kind in (
            (over_the_limit(6, counted=True), UNFINISHED),
            (over_the_limit(6, counted=False), UNSERVED),
            (overloaded(), UNSERVED),
            (stopping(), UNSERVED),
            (repeated(), UNSERVED),
            (too_large(9, "S", 8), INVALID),
            (MALFORMED, INVALID),
        ):
            self.assertIs(letter(b"a", rejection)[0], kind, rejection)

    def test_keeps_the_head_of_a_large_invalid_request_whose_caller_was_told(self) -> None:
        """With the size and the hash of all its bytes."""
        body = bytes(range(256)) * 257
        _, head, headers = letter(body, MALFORMED, headers={"a": 1})
        self.assertEqual(head, body[:HEAD_BYTES])
        self.assertEqual(
            headers,
            {
                "a": 1,
                "rpc-dead-reason": "malformed",
                "rpc-dead-size": 256 * 257,
                "rpc-dead-sha256": hashlib.sha256(body).hexdigest(),
            },
        )
        self.assertEqual(
            letter(body[:HEAD_BYTES], MALFORMED)[1:], (body[:HEAD_BYTES], {"rpc-dead-reason": "malformed"})
        )

    def test_keeps_all_of_a_request_that_is_the_only_copy_or_can_be_run(self) -> None:
        """The sender of a request without a reply has the broker's confirm, and forgets it."""
        body = b"x" * (HEAD_BYTES + 1)
        for rejection, reply_to in (
            (MALFORMED, None),
            (too_large(9, "S", 8), None),
            (over_the_limit(6, counted=True), REPLIES),
            (stopping(), None),
        ):
            self.assertEqual(letter(body, rejection, reply_to)[1:], (body, {"rpc-dead-reason": str(rejection)}))

    def test_says_of_how_much_the_worker_gathered_the_head(self) -> None:
        """There is no hash of bytes that were dropped."""
        expected = {"rpc-dead-reason": "malformed", "rpc-dead-size": 300_000_000}
        body = CutBody.of(b"abc", 300_000_000)
        self.assertEqual(letter(body, MALFORMED, None)[1:], (b"abc", expected))

    def test_a_reason_has_a_largest_length(self) -> None:
        """It may repeat the sender's text."""
        reason = letter(b"a", overloaded("y" * 5000))[2]["rpc-dead-reason"]
        self.assertEqual(reason, "y" * LONGEST_REASON)
