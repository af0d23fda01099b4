"""A worker that is stopped and started again in one process."""

from __future__ import annotations

from tests.unit.worker.again_case import AgainTestCase


class RestartTests(AgainTestCase):
    """Calls that the drain has given up run on."""

    def test_a_call_that_was_given_up_is_cancelled_at_its_deadline_after_a_restart(self) -> None:
        """Its handler would keep a slot of the next life otherwise."""
        self.serve(concurrency=1)
        self.request(message_id="m", expiration="9000")
        drained = self.worker.drain(1.0)
        self.wire.settle()
        self.wire.clock.advance(1.0)
        self.successResultOf(drained)
        self.assertEqual((self.worker.running, self.wire.clock.getDelayedCalls()), (1, []))
        self.wire.close_channel()
        self.worker.resume()
        self.worker.open()
        self.wire.clock.advance(8.1)
        self.assertEqual(self.worker.running, 0)
