"""Delays before connections and channels, as tables."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.backoff import FIRST_RETRY, STEADY, ChannelBackoff, ConnectionBackoff

LONGEST = 16.0


class ConnectionBackoffTests(SynchronousTestCase):
    """ConnectionBackoff."""

    def test_tries_the_hosts_of_a_round_at_once(self) -> None:
        """Within a round the delay is at most 0.2 s; between rounds it grows."""
        delay = ConnectionBackoff(lambda: 3)
        delays = [delay(attempt) for attempt in range(1, 10)]
        for attempt, seconds in enumerate(delays, 1):
            if attempt % 3:
                self.assertLessEqual(seconds, 0.2)
            else:
                self.assertGreater(seconds, 0.2 * 1.7 ** (attempt / 3))

    def test_bounds_the_delay(self) -> None:
        """After any number of failures the delay is at most sixteen seconds."""
        self.assertLessEqual(ConnectionBackoff(lambda: 1)(10_000), LONGEST)

    def test_grows_while_connections_do_not_last(self) -> None:
        """The attempts before a connection that did not last count on; those before a steady one do not."""
        delay = ConnectionBackoff(lambda: 1)
        for lasted, least, most in (
            (0.0, 0.2, 1.5),
            (0.5, 0.5, 1.7),
            (STEADY - 0.1, 0.9, 2.1),
            (0.0, 1.6, 2.8),
            (STEADY, 0.2, 1.5),
        ):
            delay.ended(lasted)
            seconds = delay(1)
            self.assertGreater(seconds, least)
            self.assertLess(seconds, most)


class ChannelBackoffTests(SynchronousTestCase):
    """ChannelBackoff."""

    def test_grows_while_channels_do_not_last(self) -> None:
        """The first retry comes nearly at once, the next ones later, until a channel was ready for long enough."""
        backoff = ChannelBackoff()
        for lasted, least, most in ((0.0, 0, FIRST_RETRY), (0.0, 0.5, 1.7), (9.9, 0.9, 2.1), (STEADY, 0, FIRST_RETRY)):
            seconds = backoff.ended(lasted)
            self.assertGreaterEqual(seconds, least)
            self.assertLess(seconds, most)
