"""Requests whose handlers take their time: who may be told to stop, and whose callers want to hear of them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.python import log

from rpc.deadlines import Deadlines
from rpc.interfaces import IClock
from rpc.worker.request import Request

SIGNS = 3
"""Signs of life within the time in which the caller wants to hear of one: two may be late."""

LONGEST_ID = 255
"""Bytes of a short string."""

MOST_CANCELLED = 10_000
"""Message ids kept of calls that were called off before they came; the oldest make way."""


class Progress:
    """Requests in progress that were not answered at once. Their handlers are cancelled at the callers' deadlines.

    :ivar cancelled: message ids of calls that were called off before they came.
    """

    def __init__(self, clock: IClock, sign_of_life: Callable[[Request], None], cancels: bool = True) -> None:
        """
        :param sign_of_life: tells the caller of a request that it is being worked on.
        :param cancels: whether handlers may be cancelled.
        """
        self._cancels = cancels
        self._clock = clock
        self._sign_of_life = sign_of_life
        self._requests: dict[bytes, list[Request]] = {}
        self._deadlines: Deadlines[Request] = Deadlines(clock, self._cancel_all)
        self._signs: Deadlines[Request] = Deadlines(clock, self._give_signs)
        self.cancelled: OrderedDict[bytes, None] = OrderedDict()

    def begin(self, request: Request, handling: Deferred[object]) -> None:
        """Note that the handler of `request` has returned the Deferred `handling`."""
        request.handling = handling
        if request.message_id is not None:
            self._requests.setdefault(request.message_id, []).append(request)
        if request.deadline is not None:
            request.tick = self._deadlines.add(request, request.deadline)
        if request.liveness is not None and request.wants_reply:
            self._give_signs([request])

    def prolong(self, request: Request, deadline: float | None) -> None:
        """Note that somebody waits for `request` until `deadline`, beside its own caller."""
        if request.handling is None or request.deadline is None or (deadline or math.inf) <= request.deadline:
            return
        self._deadlines.discard(request, request.tick)
        request.deadline = deadline
        if deadline is not None:
            request.tick = self._deadlines.add(request, deadline)

    def end(self, request: Request) -> None:
        """Note that the handler of `request`, for which :meth:`begin` was called, is done."""
        request.handling = None
        self._deadlines.discard(request, request.tick)
        self._signs.discard(request, request.sign_tick)
        message_id = request.message_id
        if message_id is not None:
            same = self._requests[message_id]
            same.remove(request)
            if not same:
                del self._requests[message_id]

    def cancel_calls(self, message_ids: Iterable[bytes]) -> None:
        """Cancel the handlers of these calls; those that come later are not to begin."""
        for message_id in message_ids:
            running = self._requests.get(message_id)
            if running is not None:
                self._cancel_all(running.copy())
            elif len(message_id) <= LONGEST_ID:
                self.cancelled[message_id] = None
                if len(self.cancelled) > MOST_CANCELLED:
                    self.cancelled.popitem(last=False)

    def is_cancelled(self, request: Request) -> bool:
        """Whether `request` was called off before it came."""
        return request.message_id in self.cancelled

    def requests(self) -> list[Request]:
        """Return those in progress that have a message id."""
        return [request for same in self._requests.values() for request in same]

    def stop(self) -> None:
        """Watch no deadlines any more, and give no signs of life."""
        self._deadlines.stop()
        self._signs.stop()

    def _cancel_all(self, requests: list[Request]) -> None:
        for request in requests:
            if request.handling is not None and self._cancels:
                request.cancelled = True
                try:
                    request.handling.cancel()
                except Exception:
                    log.err(None, f"{request.label}: while cancelling its handler")

    def _give_signs(self, requests: list[Request]) -> None:
        now = self._clock.seconds()
        for request in requests:
            if request.handling is not None and request.liveness is not None and not request.cancelled:
                request.sign_tick = self._signs.add(request, now + request.liveness / SIGNS)
                self._sign_of_life(request)

    def __len__(self) -> int:
        return sum(map(len, self._requests.values()))
