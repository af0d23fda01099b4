"""Several questions at once: to workers, or to the broker about queues."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults


async def together(work: Iterable[Deferred[Any]]) -> list[Any]:
    """Wait for all of the Deferreds, or for the first error, which is raised. Cancelled with the caller."""
    try:
        return await gatherResults(list(work), consumeErrors=True)
    except FirstError as error:
        error.subFailure.raiseException()
