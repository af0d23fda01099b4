"""Pauses before logins are checked, so that passwords cannot be guessed quickly.

RabbitMQ waits three seconds when a login fails. That limits the guesses of one connection, but not those of many at
the same time. Here the pause comes before the check, it grows with the failures, and few logins pause at a time. The
failures are counted by address and user name, so other users and other addresses log in without a pause.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from rpc.interfaces import IClock

WRONG_LOGIN: Final = "wrong user or password"

FREE: Final = 3
"""Failures before the first pause: a person may mistype a password."""

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 3.0
"""Seconds: each failure doubles the pause."""

MOST_PAUSED: Final = 4
"""Logins of one name and address that pause at a time. Further ones are rejected unchecked."""

REMEMBERED: Final = 300.0
"""Seconds from the latest failure until none counts any more."""

MOST_COUNTS: Final = 4096
"""Counts of failures that are kept: those of the latest failures."""

NAMES: Final = 64
"""User names are counted in so many groups for each address, so that invented names need no further memory. The count
must not depend on whether a user exists: the pause would tell it.
"""


class Failures:
    """The failed logins of one user name and address, and its logins that pause."""

    __slots__ = ("_count", "_latest", "_paused")

    def __init__(self) -> None:
        self._count = 0
        self._latest = 0.0
        self._paused = 0

    def remembered(self, now: float) -> int:
        """Return how many failures count still.

        :param now: seconds on the broker's clock.
        """
        return self._count if now - self._latest <= REMEMBERED else 0

    def add(self, now: float) -> None:
        """Count one more."""
        self._count = self.remembered(now) + 1
        self._latest = now

    def next_pause(self, now: float) -> float | None:
        """Return the seconds to wait before the next login is checked; ``None``: reject it unchecked."""
        count = self.remembered(now)
        if count < FREE:
            return 0.0
        if self._paused >= MOST_PAUSED:
            return None
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(count - FREE, 10))

    def begin_pause(self) -> None:
        """Count a login that pauses from now on."""
        self._paused += 1

    def end_pause(self) -> None:
        """Count a login that pauses no more."""
        self._paused -= 1


class LoginPauses:
    """The failed logins at one broker."""

    def __init__(self, clock: IClock) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, int], Failures] = OrderedDict()  # the latest failure last

    def failures_of(self, user: str, host: str) -> Failures:
        """Return the failures of a user name from an address; without any, an object that is not kept."""
        return self._failures.get(_group(user, host)) or Failures()

    def add_failure(self, user: str, host: str) -> None:
        """Count a failed login. The group whose latest failure is the oldest makes room."""
        key = _group(user, host)
        failures = self._failures[key] = self.failures_of(user, host)
        failures.add(self._clock.seconds())
        self._failures.move_to_end(key)
        if len(self._failures) > MOST_COUNTS:
            self._failures.popitem(last=False)

    def forget_failures(self, user: str, host: str) -> None:
        """Begin anew: the user knows the password."""
        self._failures.pop(_group(user, host), None)


def _group(user: str, host: str) -> tuple[str, int]:
    return host, hash(user) % NAMES
