"""The call being served: a nested call inherits its deadline and metadata.

The context must follow the code that waits, never the code that fires a Deferred: otherwise a handler that releases a
lock would lend its caller's identity to the handler that waits for the lock. The rules:

- A handler's own code has the context, until it returns.
- A coroutine and an ``inlineCallbacks`` generator keep it for as long as they run, for Twisted runs each in a copy of
  the :mod:`contextvars` context it was started in.
- A callback added to the Deferred of a nested call has the context of the code that added it.
- A callback of any other Deferred has none when the Deferred is fired while another handler's code is on the stack, or
  by a timer or a socket: it cannot be known to which call it belongs. This includes ``gatherResults`` and
  ``DeferredLock``: write a coroutine where a context is needed behind them. (A callback added to a Deferred that has
  fired already runs at once, as the handler's own code.)
- A coroutine that such a callback starts has none either, if it makes a call, or asks for its context, before it first
  waits.

One case cannot be recognized: a coroutine that was started so, and does neither before it first waits. Afterwards it
has the context of the other handler, until that one's call is answered. A handler that waits for a lock should
therefore be a coroutine itself (``await lock.acquire()``).
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import CodeType
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred

F = TypeVar("F", bound=Callable[..., Any])


@attrs.define(eq=False)
class CallContext:
    """The call a handler works on.

    :ivar service, method: the names in the IDL.
    :ivar deadline: the call's deadline, in seconds of the reactor's clock; ``None`` when the caller set none. If that
        clock was set meanwhile, it is in the seconds before: see :func:`rpc.use_monotonic_time`.
    :ivar metadata: the request's headers; a nested call sends them on, unless its client has others.
    :ivar message_id: the call's identity, the same on every attempt; ``None`` when the caller gave none.
    :ivar answered: whether the call is settled. Code that its handler has left running then inherits nothing.
    :ivar redelivered: whether the request may have been run before, by a worker that did not finish.
    :ivar attempt: 1, or more when the caller has sent the request before.
    :ivar user_id: the user that sent the request, which the broker has verified; ``None`` when the request names none.
        A client names it with its option ``user_id``.
    :ivar app_id: the name that the caller's program gives itself, or ``None``. Nothing verifies it.
    :ivar signed_by: the name of the key with which the request was signed; ``None`` when it was not signed, or when the
        service has no keys.
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
    """Called with 1 when the first nested call begins, and with -1 when the last is settled, unless this call is
    answered before.
    """
    user_id: str | None = None
    app_id: str | None = None
    signed_by: str | None = None

    _nested: int = attrs.field(default=0, init=False, repr=False)
    _reply_headers: dict[str, Any] = attrs.field(init=False, repr=False)
    has_reply_headers: bool = attrs.field(default=False, init=False, repr=False)
    """Whether :attr:`reply_headers` was asked for."""

    @property
    def waits(self) -> bool:
        """Whether nested calls of this one are not settled yet."""
        return self._nested > 0

    @property
    def reply_headers(self) -> dict[str, Any]:
        """Metadata for the reply: texts, and values that AMQP has. Change it before the handler has returned its
        value. A client reads it by :func:`rpc.with_reply`.
        """
        if not self.has_reply_headers:
            self.has_reply_headers = True
            self._reply_headers = {}
        return self._reply_headers

    def in_another_thread(self) -> CallContext:
        """Return a copy for nested calls of another thread: they are not counted, because no thread but the worker's
        may.
        """
        return attrs.evolve(self, on_waiting=None)

    def enter(self) -> None:
        """Note that a nested call is made."""
        self._nested += 1
        if self._nested == 1 and self._on_waiting is not None and not self.answered:
            self._on_waiting(1)

    def leave(self) -> None:
        """Note that a nested call is settled."""
        self._nested -= 1
        if self._nested == 0 and self._on_waiting is not None and not self.answered:
            self._on_waiting(-1)


serving: ContextVar[CallContext | None] = ContextVar("rpc_serving", default=None)
"""Read it by :func:`current_call`. A function that sets it is marked with :func:`enters_context`."""


def current_call() -> CallContext | None:
    """Return the call that the code at hand serves.

    :return: ``None`` outside a handler, and where the call cannot be known (see the module).
    """
    context = serving.get()
    if context is None:
        return None
    owner = _owner()
    if owner is Owner.FOREIGN_COROUTINE:
        serving.set(None)  # in the coroutine's own copy of the contextvars context
    return context if owner is Owner.OWN else None


def inherited_call() -> CallContext | None:
    """Return the call from which a call that is made now inherits its deadline and metadata.

    :return: ``None`` where :func:`current_call` returns it, and when the served call is answered already.
    """
    context = current_call()
    return None if context is None or context.answered else context


_firing = {Deferred.callback.__code__, Deferred.errback.__code__}
"""Functions of Twisted that call the callbacks of a Deferred, which any code may have added."""

_entering: set[CodeType] = set()
"""Functions that set the context for the code that they call."""


class Owner(enum.Enum):
    """The code at hand, as seen from the code for which the context was set."""

    OWN = "that code itself"
    FOREIGN = "a callback that was fired by that code"
    FOREIGN_COROUTINE = "a coroutine that such a callback has just started"


def _owner() -> Owner:
    in_coroutine = False
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        if code in _entering:
            return Owner.OWN
        if code in _firing:
            return Owner.FOREIGN_COROUTINE if in_coroutine else Owner.FOREIGN
        in_coroutine = in_coroutine or code in _driving
        frame = frame.f_back
    return Owner.OWN


def enters_context(function: F) -> F:
    """Mark a function that sets :data:`serving` for the code that it calls. Costs nothing when it is called."""
    _entering.add(function.__code__)
    return function


_driving: set[CodeType] = set()
"""The function of Twisted that runs each step of a coroutine or generator, the first one too."""

_resuming: set[CodeType] = set()
"""The functions that resume coroutines and generators, among those in ``_entering``."""


async def _note_resuming(fired: Deferred[None]) -> None:
    """Note the functions of Twisted that run and resume coroutines and generators, each in its own context."""
    await fired
    frame = inspect.currentframe()
    driver = frame.f_back if frame is not None else None
    resuming = driver.f_back if driver is not None else None
    if driver is not None and resuming is not None:
        _driving.add(driver.f_code)
        _entering.add(resuming.f_code)
        _resuming.add(resuming.f_code)


def _note_resuming_of_coroutines() -> None:
    fired: Deferred[None] = Deferred()
    Deferred.fromCoroutine(_note_resuming(fired))
    fired.callback(None)


_note_resuming_of_coroutines()


@enters_context
def _run_in_context(result: Any, context: CallContext, callback: Any, args: Any, keywords: Any) -> Any:
    token = serving.set(context)
    try:
        return callback(result, *(args or ()), **(keywords or {}))
    finally:
        serving.reset(token)


class ContextDeferred(Deferred[Any]):
    """The Deferred of a nested call. Its callbacks run with the context of the code that has added them."""

    def addCallbacks(
        self,
        callback: Any,
        errback: Any = None,
        callbackArgs: Any = None,
        callbackKeywords: Any = None,
        errbackArgs: Any = None,
        errbackKeywords: Any = None,
    ) -> Deferred[Any]:
        context = current_call()
        if context is None:
            return super().addCallbacks(callback, errback, callbackArgs, callbackKeywords, errbackArgs, errbackKeywords)
        if errback is None:
            return super().addCallback(_run_in_context, context, callback, callbackArgs, callbackKeywords)
        return super().addCallbacks(
            _run_in_context,
            _run_in_context,
            callbackArgs=(context, callback, callbackArgs, callbackKeywords),
            errbackArgs=(context, errback, errbackArgs, errbackKeywords),
        )

    def addCallback(self, callback: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
        return self.addCallbacks(callback, None, args, kwargs)

    def addErrback(self, errback: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
        context = current_call()
        if context is None:
            return super().addErrback(errback, *args, **kwargs)
        return super().addErrback(_run_in_context, context, errback, args, kwargs)

    def addBoth(self, callback: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
        if getattr(callback, "__code__", None) in _resuming:
            # A coroutine has its own context. It must not be set around it as well: when the coroutine ends, its
            # Deferred fires, and a coroutine that this starts would copy the context.
            return super().addBoth(callback, *args, **kwargs)
        return self.addCallbacks(callback, callback, args, kwargs, args, kwargs)
