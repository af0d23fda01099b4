"""The properties of copies."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.copies import revived
from rpc.messages import Properties


class RevivedTests(SynchronousTestCase):
    """The properties of a letter that is replayed."""

    def test_drops_the_reply_queue_the_expiration_and_the_headers_of_deliveries(self) -> None:
        """All other properties are unchanged."""
        alive = Properties(
            content_type="application/vnd.apache.thrift.compact",
            headers={"user": "Ada", "traceparent": "00-1"},
            delivery_mode=2,
            priority=3,
            correlation_id="c",
            message_id="m",
            timestamp=1,
            type="Calculator.add",
            app_id="a",
        )
        headers = {
            **(alive.headers or {}),
            "rpc-dead-reason": "x",
            "rpc-dead-size": 7,
            "rpc-deliveries": 6,
            "x-delivery-count": 6,
            "CC": ["elsewhere"],
        }
        dead = attrs.evolve(alive, headers=headers, reply_to="q", expiration="1", user_id="eve", delivery_mode=1)
        self.assertEqual(revived(dead), alive)
        self.assertEqual(revived(Properties(headers={"rpc-dead-reason": "x"})), Properties(delivery_mode=2))
