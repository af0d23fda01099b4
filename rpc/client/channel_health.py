"""When a channel on which everything is refused is itself in doubt.

RabbitMQ can refuse all that a channel publishes, for ever, when that began in the moment in which the leader of a
quorum queue had died. A full backlog refuses as well; but then other requests are taken in between.
"""

from __future__ import annotations

ALL_REFUSED = 1.0
"""Seconds without a message that was taken."""

MANY_REFUSED = 5
"""Messages."""

DOUBT_AGAIN = 0.1
"""Seconds: so often a doubt is told while it lasts."""


class Doubt:
    """What one channel has refused. Time is an argument.

    :ivar refusals: since a message was taken; whoever hears of one sets it to 0, which must cost nothing.
    """

    __slots__ = ("_again", "_since", "refusals")

    def __init__(self) -> None:
        self.refusals = 0
        self._since = self._again = 0.0

    def refused(self, now: float) -> bool:
        """Note that it has refused one; return whether the channel is in doubt, now and then while it is."""
        if self.refusals == 0:
            self._since = now
        self.refusals += 1
        if self.refusals < MANY_REFUSED or now - self._since <= ALL_REFUSED or now < self._again:
            return False
        self._again = now + DOUBT_AGAIN
        return True
