"""The concurrency limiter of a service: how many calls run at once, and which requests wait for a slot.

Handlers of this worker call services of this worker through the worker's own queue. Such a nested call waits only while
every slot runs a call that does not itself wait for nested calls. All other requests wait while every slot is taken. So
one call can always go on, however services call each other.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred

from rpc import log
from rpc.interfaces import IClock
from rpc.worker.request import Request, Source


@attrs.frozen
class Load:
    """How busy a service is in one worker.

    :ivar concurrency: the number of slots.
    :ivar running: calls in progress. Nested calls may make them more than the slots.
    :ivar waiting: requests that have arrived in the worker, and wait for a slot.
    """

    concurrency: int
    running: int
    waiting: int


class ConcurrencyLimiter:
    """The slots of one service.

    :ivar concurrency: the number of slots.
    :ivar running: calls in progress.
    :ivar waiting: calls in progress that wait for nested calls.
    :ivar held: requests that wait for a slot; ``held_nested``, nested ones among them.
    """

    def __init__(self, clock: IClock, concurrency: int, start: Callable[[Request], None]) -> None:
        """:param start: begins a request that was held."""
        self._clock = clock
        self._start = start
        self._start_is_scheduled = False
        self._idle: list[Deferred[None]] = []
        self._republishing = 0
        self.concurrency = concurrency
        self.running = 0
        self.waiting = 0
        self.held: deque[Request] = deque()
        self.held_nested: deque[Request] = deque()
        self._held_bytes: Counter[Source] = Counter()

    @property
    def is_free_for_nested(self) -> bool:
        """Whether a nested call may begin now."""
        return self.running - self.waiting < self.concurrency

    @property
    def load(self) -> Load:
        """How busy the service is now."""
        return Load(self.concurrency, self.running, len(self.held) + len(self.held_nested))

    def hold(self, request: Request) -> None:
        """Let `request` wait for a slot."""
        request.hold()
        self._held_bytes[request.source] += request.size
        (self.held_nested if request.source is Source.NESTED else self.held).append(request)

    def held_beside(self, request: Request) -> int:
        """How many requests of the same kind (nested, or not) wait for a slot."""
        return len(self.held_nested if request.source is Source.NESTED else self.held)

    def bytes_beside(self, request: Request) -> int:
        """Bytes of the requests from the same queue and of the same kind that wait for a slot."""
        return self._held_bytes[request.source]

    def enter(self) -> None:
        """Take a slot."""
        self.running += 1

    def leave(self, waits: bool = False) -> None:
        """Give a slot back.

        :param waits: whether nested calls of its call are still pending.
        """
        self.running -= 1
        if waits:
            self.waiting -= 1
        if self.held or self.held_nested:
            self._schedule_start()
        elif self._idle:
            self._tell_idle()

    def wait(self, change: int) -> None:
        """Note that a call in progress begins to wait for nested calls (1), or waits no more (-1)."""
        self.waiting += change
        if change > 0 and self.held_nested:
            self._schedule_start()

    def republish(self, change: int) -> None:
        """Note that a copy of a request is being published (1), or has been (-1). It takes no slot."""
        self._republishing += change
        self._tell_idle()

    def _schedule_start(self) -> None:
        """Begin one held request in the next reactor turn.

        Only one: decoding a large request may take seconds, and heartbeats must be sent between two requests.
        """
        if not self._start_is_scheduled:
            self._start_is_scheduled = True
            self._clock.callLater(0, self._start_next)

    def _start_next(self) -> None:
        self._start_is_scheduled = False
        if self.held_nested and self.is_free_for_nested:
            self._begin(self._taken(self.held_nested.popleft()))
        elif self.held and self.running < self.concurrency:
            self._begin(self._taken(self.held.popleft()))
        else:
            self._tell_idle()
            return
        self._schedule_start()

    def _taken(self, request: Request) -> Request:
        self._held_bytes[request.source] -= request.size
        return request

    def _begin(self, request: Request) -> None:
        """Begin `request`. An error must not stop the requests behind it."""
        try:
            self._start(request)
        except Exception:
            log.err(None, "while beginning a request that was held")

    def take_shared(self) -> list[Request]:
        """Take out the held requests that came from a queue of the service."""
        shared = [self._taken(request) for request in self.held if not request.direct]
        self.held = deque(request for request in self.held if request.direct)
        return shared

    def take_direct(self) -> list[Request]:
        """Take out the held requests for this worker alone, but not nested ones."""
        direct = [self._taken(request) for request in self.held if request.direct]
        self.held = deque(request for request in self.held if not request.direct)
        return direct

    def take_all(self) -> list[Request]:
        """Take out every held request, nested ones included."""
        taken = [self._taken(request) for request in (*self.held, *self.held_nested)]
        self.held.clear()
        self.held_nested.clear()
        return taken

    # -- leaving

    def when_idle(self) -> Deferred[None]:
        """Fires when no call is in progress, no nested call waits, and no copy is being published."""
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        self._tell_idle()
        return idle

    def _tell_idle(self) -> None:
        if self._idle and self.running == 0 and not self.held_nested and not self._republishing:
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)
