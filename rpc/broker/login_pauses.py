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
"""Seconds from the latest failure until all are forgotten."""

MOST_COUNTS: Final = 4096
"""Counts of failures that are kept: those of the latest failures."""

NAMES: Final = 64
"""User names are counted in so many groups for each address, so that invented names need no further memory. The count
must not depend on whether a user exists: the pause would tell it.
"""


class Failures:
    """The failed logins of one user name and address.

    :ivar paused: logins that pause now.
    """

    __slots__ = ("count", "latest", "paused")

    def __init__(self) -> None:
        self.count = 0
        self.latest = 0.0
        self.paused = 0

    def pause(self) -> float | None:
        """Return the seconds to wait before the next login is checked; ``None``: reject it unchecked."""
        if self.count < FREE:
            return 0.0
        if self.paused >= MOST_PAUSED:
            return None
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.count - FREE, 10))


class LoginPauses:
    """The failed logins at one broker."""

    def __init__(self, clock: IClock) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, int], Failures] = OrderedDict()  # the latest failure last

    def failures(self, user: str, host: str) -> Failures:
        """Return the failures of a user name from an address so far."""
        found = self._failures.get(_group(user, host))
        if found is None:
            return Failures()
        if self._clock.seconds() - found.latest > REMEMBERED:
            found.count = 0
        return found

    def failed(self, user: str, host: str) -> None:
        """Count a failed login."""
        key = _group(user, host)
        failures = self._failures[key] = self.failures(user, host)
        failures.count += 1
        failures.latest = self._clock.seconds()
        self._failures.move_to_end(key)
        if len(self._failures) > MOST_COUNTS:
            self._failures.popitem(last=False)

    def succeeded(self, user: str, host: str) -> None:
        """Forget the failures: the user knows the password."""
        self._failures.pop(_group(user, host), None)


def _group(user: str, host: str) -> tuple[str, int]:
    return host, hash(user) % NAMES
