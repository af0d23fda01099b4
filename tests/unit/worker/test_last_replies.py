"""The last calls that have run, for redelivered requests."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.worker.last_replies import BYTES, CANCELLED, MOST_UNACKED, SECONDS, LastReplies

BODY = b"request"


def identity(name: str) -> tuple[bytes, int]:
    """The identity of a call, as requests have it."""
    return name.encode(), hash(BODY)


class LastRepliesTests(SynchronousTestCase):
    """Noting, finding, keeping after a lost channel."""

    def setUp(self) -> None:
        self.last = LastReplies(3)

    def note(self, *names: str, reply: object = b"x") -> None:
        """Let calls end."""
        for name in names:
            self.last.note((name.encode(), BODY, reply))

    def found(self, *names: str, now: float = 0.0) -> list[str]:
        """The calls that are known."""
        return [name for name in names if self.last.find(identity(name), now) is not None]

    def test_finds_the_last_calls(self) -> None:
        """As many as its count, with reply and whether they were cancelled."""
        self.note("a", "b", "c", "d")
        self.assertEqual(self.found("a", "b", "c", "d"), ["b", "c", "d"])
        self.note("e", reply=CANCELLED)
        self.note("f", reply=None)
        for name, body, cancelled in (("d", b"x", False), ("e", None, True), ("f", None, False)):
            answered = self.last.find(identity(name), 2.0)
            assert answered is not None
            self.assertEqual((answered.body, answered.cancelled), (body, cancelled))

    def test_finds_a_call_by_the_hash_of_its_request_as_well(self) -> None:
        """Large bodies are not kept."""
        self.last.note((b"a", hash(BODY), b"x"))
        self.assertEqual(self.found("a"), ["a"])

    def test_does_not_find_a_call_without_a_message_id_nor_one_with_another_body(self) -> None:
        """They could not be told from others."""
        self.last.note((None, BODY, b"x"))
        self.last.note((b"a", b"another", b"x"))
        self.assertIsNone(self.last.find(None, 0.0))
        self.assertEqual(self.found("a"), [])
        self.last.keep_unacked(0.0)
        self.assertEqual(len(self.last), 1)

    def test_gives_the_latest_reply_of_a_call_that_ran_twice(self) -> None:
        """Also after a lost channel in between."""
        self.note("a", reply=b"first")
        self.last.keep_unacked(0.0)
        self.note("a", reply=b"second")
        for _ in range(2):
            answered = self.last.find(identity("a"), 1.0)
            assert answered is not None
            self.assertEqual(answered.body, b"second")
            self.last.keep_unacked(0.0)

    def test_keeps_the_calls_before_a_lost_channel_for_a_time_however_many_follow(self) -> None:
        """Their redelivery may come minutes later."""
        self.note("a", "b")
        self.last.keep_unacked(0.0)
        self.note(*"cdefgh")
        self.assertEqual(self.found("a", "b", "c", "h", now=1.0), ["a", "b", "h"])
        self.assertEqual(self.found("a", "b", now=SECONDS), [])
        self.last.keep_unacked(SECONDS)
        self.assertEqual(self.found("a", "h", now=SECONDS), ["h"])

    def test_is_bounded_in_number_and_bytes_and_drops_replies_before_calls(self) -> None:
        """However often the channel is lost."""
        self.last = LastReplies(500)
        self.note("first")
        for number in range(MOST_UNACKED):
            self.note(f"{number}", reply=bytes(10_000))
            if number % 500 == 498:
                self.last.keep_unacked(0.0)
        self.last.keep_unacked(0.0)
        self.assertEqual(len(self.last), MOST_UNACKED)
        self.assertEqual(self.found("first", "0", f"{MOST_UNACKED - 1}"), ["0", f"{MOST_UNACKED - 1}"])
        bodies = [answered.body for answered in self.last._unacked.values()]
        self.assertLessEqual(sum(len(body or b"") for body in bodies), BYTES)
        self.assertEqual((bodies[0], bodies[-1]), (None, bytes(10_000)))
