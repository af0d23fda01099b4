"""The call that the code at hand serves: what a nested call inherits.

A context variable, so it follows the handler into coroutines and ``inlineCallbacks``; into plain callbacks of other
Deferreds it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import attrs


@attrs.define(eq=False)
class CallContext:
    """The call a handler works on.

    :ivar service, method: the names in the IDL.
    :ivar deadline: seconds of the reactor's clock at which the caller gives up; ``None`` when it did not say.
    :ivar metadata: the request's headers; a nested call sends them on, unless its client has others.
    :ivar message_id: the call's identity, the same on every attempt; ``None`` when the caller gave none.
    :ivar answered: the call is settled: what its handler has left running is on its own, and inherits nothing.
    :ivar redelivered: whether the request may have been run before, by a worker that did not finish.
    :ivar attempt: 1, or more when the caller has sent the request before.
    """

    service: str
    method: str
    deadline: float | None
    metadata: Mapping[str, Any]
    message_id: str | None
    redelivered: bool
    attempt: int = 1
    answered: bool = False
    _on_waiting: Callable[[int], None] | None = attrs.field(default=None, repr=False)
    """Told 1 when the first call made for this one begins, -1 when the last is settled, unless this one is before."""

    _nested: int = attrs.field(default=0, init=False, repr=False)

    @property
    def waits(self) -> bool:
        """Whether calls that were made for this one are not settled yet."""
        return self._nested > 0

    def enter(self) -> None:
        """Note that a call is made for this one."""
        self._nested += 1
        if self._nested == 1 and self._on_waiting is not None and not self.answered:
            self._on_waiting(1)

    def leave(self) -> None:
        """Note that a call made for this one is settled."""
        self._nested -= 1
        if self._nested == 0 and self._on_waiting is not None and not self.answered:
            self._on_waiting(-1)


serving: ContextVar[CallContext | None] = ContextVar("rpc_serving", default=None)


def current_call() -> CallContext | None:
    """Return the call that is being served, or ``None`` outside a handler."""
    return serving.get()
