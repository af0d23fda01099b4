"""The answers of workers to one question, and the number of workers that gave none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import attrs

from rpc.client.gathered import Answer, BadAnswer, End

T = TypeVar("T")

BLOCKED: Final = "most often, a handler blocks its reactor"
"""Why a worker that has got a question does not answer it."""

DEAF: Final = "it was started with --no-control, or is older than the control service"
"""Why a worker gets no question although its reactor runs."""


@attrs.frozen
class Answers(Generic[T]):
    """The answers to a question. Iterating gives the values.

    :ivar good: the answers of workers that serve the service, if one was named; one of each worker, in the order in
        which they came.
    :ivar bad: replies that are no answer, of any worker: they cannot be read, or the worker refused the question.
    :ivar expected: how many workers were to answer: those that consume the queue of the named service, or the one
        instance that was named; ``None``: it is not known.
    :ivar end: why the wait ended, an :class:`~rpc.client.gathered.End`.
    :ivar problem: a text when the channel was lost, the broker takes no messages, or there were too many answers; else
        ``None``.
    """

    good: tuple[Answer[T], ...]
    bad: tuple[BadAnswer, ...] = ()
    expected: int | None = None
    end: End = End.COMPLETE
    problem: str | None = None

    def __iter__(self) -> Iterator[T]:
        return (each.value for each in self.good)

    def __len__(self) -> int:
        return len(self.good)

    @property
    def silent(self) -> int:
        """How many expected workers gave no good answer: they hang, are older than the control service, or have it
        switched off.
        """
        return max(0, (self.expected or 0) - len(self.good))

    @property
    def is_complete(self) -> bool:
        """Whether at least one worker has answered, and no expected one is missing."""
        return bool(self.good) and not self.silent


def why_unroutable(*, is_instance: bool) -> str:
    """Return why a question reached no worker (:attr:`End.UNROUTABLE`).

    :param is_instance: whether one worker was asked, by its name.
    """
    none = "this worker has ended" if is_instance else "none runs"
    return f"the question reached no worker: {none}, or {DEAF}"
