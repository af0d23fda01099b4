"""JSON text parsed without loss: the standard parser turns ``1e400`` into Infinity and keeps one of two equal keys."""

from __future__ import annotations

import json
import math
from typing import Any

import attrs


@attrs.frozen
class TooLarge:
    """A number that no double can hold.

    :ivar text: the number as it was written.
    """

    text: str


class Object(dict[str, Any]):
    """A JSON object.

    :ivar repeated: the first key that is written twice, or ``None``.
    """

    repeated: str | None = None

    @classmethod
    def of(cls, pairs: list[tuple[str, Any]]) -> Object:
        """Make one of its keys and values."""
        made = cls(pairs)
        if len(made) < len(pairs):
            seen: set[str] = set()
            made.repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return made


def parse(text: str) -> Any:
    """Return the value of a JSON text; an object is an :class:`Object`, and a number may be :class:`TooLarge`.

    :raises ValueError: the text is not JSON.
    :raises RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_float=_number, object_pairs_hook=Object.of)


def dump(value: object) -> str:
    """Return a parsed value as JSON without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_text)


def _number(text: str) -> float | TooLarge:
    number = float(text)
    return TooLarge(text) if math.isinf(number) else number


def _text(value: object) -> str:
    assert isinstance(value, TooLarge)
    return value.text
