"""Medians, spreads and ratios. A ratio is taken round by round, so that a slow round cancels out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import attrs


@attrs.frozen
class Spread:
    """Several values of one thing."""

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Of no values: ``None``."""
        known = sorted(values)
        return cls(median(known), known[0], known[-1], len(known)) if known else None


def ratios(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Ours divided by theirs in each round that both have a value for."""
    return [ours[each] / theirs[each] for each in sorted(ours) if theirs.get(each)]


def best(rounds_of_each: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """In each round the highest value that anyone has."""
    rounds = {each for values in rounds_of_each for each in values}
    return {each: max(values[each] for values in rounds_of_each if each in values) for each in sorted(rounds)}


def round_number(value: float, digits: int = 3) -> str:
    """So many significant digits, thousands separated: more would be noise."""
    return f"{float(f'{value:.{digits}g}'):,.10f}".rstrip("0").rstrip(".")
