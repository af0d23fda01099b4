"""Values: a question to many workers, their answers, and the end of the wait."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import attrs

from rpc.client.operation import Operation

T = TypeVar("T")


class End(enum.Enum):
    """Why the wait for answers ended."""

    COMPLETE = "no further answers are expected"
    WAITED = "the time is over"
    UNROUTABLE = "no queue takes the question: no worker is there that it is for"
    LOST = "the channel was lost"
    BLOCKED = "the time is over, and the broker takes no messages"
    TOO_MANY = "there were too many answers"


@attrs.frozen
class Answer(Generic[T]):
    """The reply of one worker.

    :ivar instance: the worker's name; ``None`` when the reply does not tell it.
    :ivar seconds: from the publishing of the question to the reply.
    """

    instance: str | None
    seconds: float
    value: T


@attrs.frozen
class BadAnswer:
    """A reply that is no answer: it cannot be read, or the worker has refused the question.

    :ivar instance: the worker's name; ``None`` when the reply does not tell it.
    :ivar problem: in words.
    """

    instance: str | None
    seconds: float
    problem: str


@attrs.frozen
class Gathered:
    """The end of a question. The answers were given to :attr:`Question.take`.

    :ivar bad: in the order in which they came.
    :ivar end: why the wait ended.
    :ivar problem: with :attr:`End.LOST`, :attr:`End.BLOCKED` and :attr:`End.TOO_MANY`: the reason, in words.
    """

    bad: tuple[BadAnswer, ...]
    end: End
    problem: str | None = None


@attrs.frozen
class Question:
    """A question, and how long its answers are awaited.

    :ivar operation: of a method with a reply. Its options have the exchange, and the limits for replies.
    :ivar routing_key: of the request.
    :ivar wait: seconds.
    :ivar take: takes each answer as it comes, and returns whether it was the last that is expected.
    """

    operation: Operation
    arguments: tuple[Any, ...]
    routing_key: str
    wait: float
    take: Callable[[Answer[Any]], bool]
