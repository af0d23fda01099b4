"""When a channel that refuses requests should be replaced."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.client.channel_health import ChannelHealth


def refuse(health: ChannelHealth, services: str, begin: float, end: float, count: int = 100) -> float | None:
    """Refuse requests to `services` in turn until the channel should be replaced; return when that was."""
    for number in range(count):
        now = begin + (end - begin) * number / count
        if health.refused(services[number % len(services)], now):
            return now
    return None


class OneServiceTests(SynchronousTestCase):
    """Refusals of one service: a full backlog, most likely."""

    def setUp(self) -> None:
        self.health = ChannelHealth()

    def test_keeps_the_channel_for_three_seconds(self) -> None:
        self.assertIsNone(refuse(self.health, "A", 0.0, 3.0))
        self.assertTrue(self.health.refused("A", 3.1))

    def test_refusals_on_the_last_channel_do_not_count(self) -> None:
        refuse(self.health, "A", 0.0, 3.0)
        self.health.begin()
        self.assertIsNone(refuse(self.health, "A", 3.0, 6.0))

    def test_needs_five_refusals(self) -> None:
        self.assertEqual([self.health.refused("A", 20.0 * number) for number in range(5)], [False] * 4 + [True])

    def test_an_ack_of_the_service_begins_anew(self) -> None:
        refuse(self.health, "A", 0.0, 3.0)
        self.health.accepted("A")
        self.assertIsNone(refuse(self.health, "A", 3.0, 6.0))

    def test_an_ack_of_another_service_says_nothing_of_this_one(self) -> None:
        for number in range(10):
            self.health.accepted("B")
            self.assertFalse(self.health.refused("A", number * 0.3))
        self.assertTrue(self.health.refused("A", 3.1))

    def test_a_fresh_channel_that_refuses_as_well_is_kept_longer(self) -> None:
        now, kept = 0.0, []
        for _ in range(8):
            replaced = refuse(self.health, "A", now, now + 1000, count=10_000)
            assert replaced is not None
            kept.append(round(replaced - now))
            self.health.replaced()
            self.health.begin()
            now = replaced
        self.assertEqual(kept, [3, 6, 12, 24, 48, 96, 192, 192])
        self.assertTrue(self.health.watching)
        self.health.accepted("A")
        self.assertFalse(self.health.watching)
        self.assertIsNotNone(refuse(self.health, "A", now, now + 4))


class SeveralServicesTests(SynchronousTestCase):
    """Refusals of several services: a broken channel, most likely."""

    def setUp(self) -> None:
        self.health = ChannelHealth()

    def test_replaces_the_channel_after_a_second(self) -> None:
        self.assertIsNone(refuse(self.health, "AB", 0.0, 1.0))
        self.assertTrue(self.health.refused("A", 1.1))

    def test_keeps_the_channel_when_anything_is_accepted_in_between(self) -> None:
        for second in range(3):
            refuse(self.health, "AB", float(second), second + 0.9)
            self.assertFalse(self.health.refused("A", second + 0.95))
            self.health.accepted("C")

    def test_watches_acks_while_a_service_is_refused(self) -> None:
        self.assertFalse(self.health.watching)
        self.health.refused("A", 0.0)
        self.health.refused("B", 0.0)
        self.health.accepted("A")
        self.assertTrue(self.health.watching)
        self.health.accepted("B")
        self.assertFalse(self.health.watching)
