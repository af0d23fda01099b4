"""A clock on which each look takes time, so that long work is cut into slices."""

from __future__ import annotations

from twisted.internet.task import Clock


class TickingClock(Clock):
    """A ``Clock`` that goes on by itself.

    :ivar tick: seconds that each look at it takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tick = 0.0

    def seconds(self) -> float:
        """The time, a tick later than at the look before."""
        self.rightNow += self.tick
        return self.rightNow

    def turn(self) -> None:
        """Run the calls that are due, and none that they add: one turn of a reactor."""
        due = [call for call in self.calls if call.getTime() <= self.rightNow]
        for call in due:
            if call in self.calls:
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)
