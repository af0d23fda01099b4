"""Methods that are sent at once, without waiting for the answer of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.python.failure import Failure


def all_answered(answers: Iterable[Deferred[Any]]) -> Deferred[None]:
    """Wait for the answers of several methods of a channel.

    :return: fires when all have come; fails with the error of the first method that failed. An error closes the channel
        (AMQP 0-9-1, channel.close), so all later methods fail as well.
    """
    return gatherResults(answers, consumeErrors=True).addCallbacks(lambda _: None, _first_error)


def _first_error(failure: Failure) -> Failure:
    return failure.value.subFailure if isinstance(failure.value, FirstError) else failure
