"""The quarantine of a service is consumed whenever it exists: its requests have no other way out."""

from __future__ import annotations

from rpc.headers import QUARANTINE as QUARANTINE_TYPE
from rpc.worker.republisher import Republisher
from tests.unit.amqp.peer import method
from tests.unit.worker.again_case import QUARANTINE_QUEUE, AgainTestCase
from tests.unit.worker.served import OWN, QUARANTINE


class QuarantineConsumerTests(AgainTestCase):
    """Losses of channel, queue and answer."""

    def consumed(self) -> list[str]:
        """The queues that were consumed since the last time."""
        self.wire.settle()
        return [args[1] for args in self.wire.taken("basic.consume")]

    def cancel(self, tag: str) -> None:
        """The broker ends a consumer."""
        self.wire.peer.feed(method(self.wire.channel.id, "basic.cancel", tag, True))

    def test_it_asks_again_when_the_answer_was_lost_with_the_channel_of_the_republisher(self) -> None:
        """That channel ends alone, for example because another service's dead letters cannot be declared."""
        self.serve(Republisher())
        republisher = self.worker.republisher
        self.wire.holds_confirms = True
        self.wire.open_beside(republisher)
        republisher.lost(RuntimeError("406"))
        self.assertNotIn(QUARANTINE_QUEUE, self.consumed())
        self.wire.holds_confirms = False
        republisher.lost(RuntimeError("406"))
        self.wire.open_beside(republisher)
        self.assertEqual(self.consumed(), [QUARANTINE_QUEUE])

    def test_only_one_question_is_asked_at_a_time(self) -> None:
        """However often the channels are lost."""
        self.serve(Republisher())
        for _ in range(5):
            self.wire.close_channel()
            self.worker.open()
        self.wire.open_beside(self.worker.republisher)
        self.wire.settle()
        self.assertEqual(len(self.wire.about_quarantine), 1)

    def test_a_quarantine_whose_consumer_was_cancelled_is_declared_and_consumed_again(self) -> None:
        """The node of the queue may come back with requests in it."""
        self.serve()
        self.assertIn(QUARANTINE_QUEUE, self.consumed())
        self.cancel(QUARANTINE)
        self.assertEqual(self.consumed(), [QUARANTINE_QUEUE])

    def test_a_request_is_no_probe_whatever_its_type_says(self) -> None:
        """A caller chooses the property ``type``; a probe has no body."""
        self.serve()
        for consumer in (QUARANTINE, OWN):
            self.request("add", consumer, message_id=consumer, type=QUARANTINE_TYPE)
        self.assertEqual((self.handler.ran, len(self.wire.take())), (["add", "add"], 2))

    def test_the_tags_of_cancelled_consumers_are_forgotten(self) -> None:
        """A queue that is deleted a hundred times leaves one consumer to cancel."""
        self.serve()
        for number in range(4, 104):
            self.cancel("c2" if number == 4 else f"c{number - 1}")
            self.consumed()
        self.worker.drain(1.0)
        self.wire.settle()
        self.assertEqual(len(self.wire.taken("basic.cancel")), 2)
