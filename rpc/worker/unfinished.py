"""Return values of handlers that are no results: the handler has not run, or has not ended."""

from __future__ import annotations

from collections.abc import Awaitable
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from twisted.python.failure import Failure

NO_RESULTS = (Failure, GeneratorType, AsyncGeneratorType)
"""Types that are never a result of the IDL."""


def is_unfinished(value: Any) -> bool:
    """Return whether the value of a handler of a ``void`` method stands for something that has not ended.

    Such a method has no type that the value would have to fit. Deferreds and coroutines have been awaited before.
    """
    return isinstance(value, Awaitable)


def failure_of(value: Any) -> Failure:
    """Return the error of a call whose handler returns `value`."""
    if isinstance(value, Failure):  # as twisted.internet.defer.maybeDeferred takes it
        return value
    kind = type(value).__name__
    if isinstance(value, NO_RESULTS):
        text = f"the handler returned a {kind}, whose code has not run: is the decorator inlineCallbacks missing?"
    else:
        text = f"the handler returned a {kind}, which nothing awaits: return a Deferred or a coroutine"
    return Failure(TypeError(text))
