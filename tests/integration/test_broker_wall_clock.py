"""The wall clock is set an hour forward or back while ``twistd rpc-broker`` runs.

Time limits that must not end early are looked at after the jump. Those that must end would otherwise take an hour.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pika
import pika.exceptions

from tests.integration.test_broker_process import BrokerProcessCase
from tests.processes import BrokerProcess
from tests.wall_clock import HOUR, WallClock

PATIENCE = 30.0
"""Seconds for what must happen by itself."""


class BrokerWallClockTests(BrokerProcessCase):
    """Messages expire, and connections end, by the monotonic clock. Stamps and files have the wall clock."""

    def setUp(self) -> None:
        super().setUp()
        self.wall_clock = WallClock(self.folder)
        self.start_broker()

    def start_broker(self) -> None:
        """Start a broker with the state of the last one, and connect."""
        self.process = BrokerProcess(
            "--state", "state.sqlite3", folder=self.folder, environment=self.wall_clock.environment
        )
        self.addCleanup(self.process.close)
        self.address = self.process.wait_until_listening()
        self.connection = self.connect()
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def connect(self, heartbeat: int = 0) -> Any:
        """Connect with pika."""
        url = f"amqp://guest:guest@{self.address}/%2F?heartbeat={heartbeat}"
        connection = pika.BlockingConnection(pika.URLParameters(url))
        self.addCleanup(_close, connection)
        return connection

    def publish(self, seconds: float) -> None:
        """Publish a persistent message that expires; it goes to the queue ``dead`` then."""
        self.channel.queue_declare("dead", durable=True)
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        self.channel.queue_declare("expiring", durable=True, arguments=arguments)
        properties = pika.BasicProperties(delivery_mode=2, expiration=str(int(seconds * 1000)))
        self.channel.basic_publish("", "expiring", b"message", properties)

    def wait_for(self, look: Callable[[], Any]) -> Any:
        """Look until there is something, and return it."""
        deadline = time.monotonic() + PATIENCE
        while not (found := look()):
            self.assertLess(time.monotonic(), deadline, "nothing happened")
            self.connection.sleep(0.05)
        return found

    def dead_letter(self) -> pika.BasicProperties:
        """Wait for the dead letter, and return its properties."""

        def look() -> Any:
            return self.channel.basic_get("dead", auto_ack=True)[1]

        properties = self.wait_for(look)
        assert isinstance(properties, pika.BasicProperties)
        return properties

    def test_no_message_expires_early(self) -> None:
        """The clock is set forward."""
        self.publish(600.0)
        self.wall_clock.set(HOUR)
        self.assertEqual(self.channel.basic_get("expiring")[2], b"message")

    def test_a_message_expires_in_time(self) -> None:
        """The clock is set back."""
        self.publish(2.0)
        self.wall_clock.set(-HOUR)
        self.dead_letter()

    def test_the_time_of_a_death_is_the_wall_clock(self) -> None:
        """Operators compare it with the clocks of other machines."""
        self.wall_clock.set(HOUR)
        self.publish(0.0)
        headers = self.dead_letter().headers
        assert headers is not None
        died: datetime = headers["x-death"][0]["time"]
        ahead = died.replace(tzinfo=timezone.utc).timestamp() - time.time()
        self.assertLess(abs(ahead - HOUR), 600.0)

    def restart_with_a_message(self, ahead: float, seconds: float) -> None:
        """Set the clock, publish a message that expires, and have another broker read the state."""
        self.wall_clock.set(ahead)
        self.publish(seconds)
        self.process.kill()
        self.start_broker()

    def test_no_message_expires_early_after_a_restart(self) -> None:
        """The clock was set forward before the message came."""
        self.restart_with_a_message(HOUR, 600.0)
        self.assertEqual(self.channel.basic_get("expiring")[2], b"message")

    def test_a_message_expires_in_time_after_a_restart(self) -> None:
        """The clock was set back before the message came."""
        self.restart_with_a_message(-HOUR, 5.0)
        self.dead_letter()

    def test_keeps_a_connection(self) -> None:
        """The clock is set forward: no heartbeat is missing."""
        idle = self.connect(heartbeat=60)
        self.wall_clock.set(HOUR)
        for _ in range(3):
            self.channel.queue_declare("any")  # the broker looks at its timers
        idle.channel().queue_declare("any", passive=True)

    def test_closes_a_silent_connection(self) -> None:
        """The clock is set back: heartbeats are missed after two seconds."""
        self.connect(heartbeat=1).channel().queue_declare("its own", exclusive=True)
        self.wall_clock.set(-HOUR)
        self.wait_for(lambda: self.declare_code("its own") == 404)

    def declare_code(self, queue: str) -> int:
        """Return the code by which a queue of another connection is refused: 405, or 404 when that has ended."""
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as refused:
            self.connection.channel().queue_declare(queue, passive=True)
        code: int = refused.exception.reply_code
        return code


def _close(connection: Any) -> None:
    """Close a connection, which may have ended already."""
    with contextlib.suppress(pika.exceptions.AMQPError):
        connection.close()
