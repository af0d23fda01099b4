"""Delays before the next connection and before the next channel: with jitter, and growing while nothing lasts.

A broker may take a login, or a channel, and end it at once, again and again. So a connection or channel counts as a
failure until it has lasted.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.application.internet import backoffPolicy

retry_delay = backoffPolicy(initialDelay=0.2, maxDelay=15.0, factor=1.7)
"""Seconds before the n-th attempt in a row: 0.3 to 1.3 s before the first, at most 16 s."""

FIRST_RETRY = 0.2
"""Seconds at most until a channel is opened again for the first time: most often, a queue was deleted."""

LEAST_PAUSE = 0.5
"""Seconds between a lost channel and the next one, at least, when calls wait for it."""

STEADY = 10.0
"""Seconds that a connection or channel must have lasted for the failures before it to be forgotten."""


class ConnectionBackoff:
    """The retry policy of a ``ClientService`` for a broker of several hosts.

    The hosts of one round are tried in turn with hardly any delay: the little there is keeps the clients of a node
    that died from reconnecting in the same instant. The backoff is between the rounds.
    """

    def __init__(self, hosts: Callable[[], int]) -> None:
        """:param hosts: returns how many hosts the broker has now."""
        self._hosts = hosts
        self._before = 0  # attempts before the last connection, which did not last
        self._attempts = 0

    def __call__(self, attempt: int) -> float:
        """Return the seconds before the next attempt.

        :param attempt: how many attempts have failed since the last connection, which counts as one.
        """
        self._attempts = self._before + attempt
        whole_rounds, begun = divmod(self._attempts, self._hosts())
        return random.uniform(0, 0.2) if begun else retry_delay(whole_rounds)  # noqa: S311  # no secret

    def ended(self, lasted: float) -> None:
        """Note that a connection has ended, which was open for `lasted` seconds."""
        self._before = 0 if lasted >= STEADY else self._attempts


class ChannelBackoff:
    """Delays before the next channel of one user."""

    def __init__(self) -> None:
        self._failures = 0

    def ended(self, lasted: float) -> float:
        """Return the seconds to wait, after a channel that was ready for `lasted` seconds; 0 for one that never was."""
        self._failures = 1 if lasted >= STEADY else self._failures + 1
        delay = random.uniform(0, FIRST_RETRY)  # noqa: S311  # no secret
        return delay if self._failures == 1 else retry_delay(self._failures)
