"""How many calls a worker has in progress of a service, and which wait for a place.

There are two kinds. What a handler of this worker has called comes by the worker's own queue, and waits only while all
places are taken by calls that do not wait for such calls themselves; all else waits while any call is in progress in
each place. So there is always one that can go on, however services call each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred

from rpc.interfaces import IClock
from rpc.worker.request import Request


class Places:
    """The places of one service.

    :ivar running: calls in progress.
    :ivar waiting: those of them that wait for calls of their own.
    :ivar held: requests that wait for a place; ``held_nested``, those that this worker's handlers have made.
    """

    def __init__(self, clock: IClock, concurrency: int, start: Callable[[Request], None]) -> None:
        """:param start: begins a request that was held."""
        self._clock = clock
        self._concurrency = concurrency
        self._start = start
        self._starting = False
        self._idle: list[Deferred[None]] = []
        self.running = 0
        self.waiting = 0
        self.held: deque[Request] = deque()
        self.held_nested: deque[Request] = deque()

    @property
    def free(self) -> bool:
        """Whether there is a place."""
        return self.running < self._concurrency

    @property
    def free_for_nested(self) -> bool:
        """Whether there is one for what a handler of this worker has called."""
        return self.running - self.waiting < self._concurrency

    def wait(self, change: int) -> None:
        """Note that a call in progress begins to wait for calls of its own (1), or ends to (-1)."""
        self.waiting += change
        if change > 0 and self.held_nested:
            self._start_later()

    def leave(self) -> None:
        """Note that a call is not in progress any more."""
        self.running -= 1
        if self.held or self.held_nested:
            self._start_later()
        elif self._idle:
            self._tell_idle()

    def _start_later(self) -> None:
        """Begin one request that was held in the next reactor turn.

        One in a turn: decoding a large one takes seconds, and between two of them heartbeats must go out.
        """
        if not self._starting:
            self._starting = True
            self._clock.callLater(0, self._start_next)

    def _start_next(self) -> None:
        self._starting = False
        if self.held_nested and self.free_for_nested:
            self._start(self.held_nested.popleft())
        elif self.held and self.free:
            self._start(self.held.popleft())
        else:
            self._tell_idle()
            return
        self._start_later()

    def forget_shared(self) -> None:
        """Forget those that wait and will come again, since their channel is gone. What came by the worker's own queue
        will not.
        """
        self.held = deque(request for request in self.held if request.direct)

    # -- leaving

    def when_idle(self) -> Deferred[None]:
        """Fires when nothing is in progress, nor waits that handlers have called."""
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        self._tell_idle()
        return idle

    def _tell_idle(self) -> None:
        if self.running == 0 and not self.held_nested:
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)
