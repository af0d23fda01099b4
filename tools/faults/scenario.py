"""A fault, the promise under it, and the observation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs


@attrs.frozen
class Finding:
    """The observation of a scenario.

    :ivar seen: the figures, in words.
    :ivar met: whether the promise held.
    """

    seen: str
    met: bool


@attrs.frozen
class Result:
    """A fault, the promise, and the observation.

    :ivar unfired: Deferreds unfired one second past their deadline.
    :ivar wrong: answers to the wrong caller.
    :ivar left: entries left in tables, by table.
    :ivar descriptors: open before and after.
    :ivar seconds: that it took.
    """

    name: str
    fault: str
    promise: str
    seen: str
    met: bool
    unfired: int
    wrong: int
    left: dict[str, int]
    descriptors: tuple[int, int]
    seconds: float


@attrs.frozen
class Scenario:
    """A fault, and how to see whether a promise holds under it.

    :ivar play: the scenario itself; its further arguments are `quick` or `full`.
    :ivar cluster: whether it needs three nodes rather than one.
    """

    name: str
    fault: str
    promise: str
    play: Callable[..., Awaitable[Finding]]
    quick: dict[str, Any]
    full: dict[str, Any]
    cluster: bool = False
