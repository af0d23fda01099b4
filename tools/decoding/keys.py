"""Keys that a ``dict`` or ``set`` compares with many others. A peer can choose them: their hashes are not keyed."""

from __future__ import annotations

from uuid import UUID


def probing_numbers(count: int) -> list[int]:
    """Return numbers for which a ``dict`` needs a long search each (``lookdict`` of CPython).

    Half of them fill a run of the cycle in which a table is searched at last; the others begin in that run. Numbers
    below 2**61 are their own hashes, and no hash is equal to another.
    """
    size = 8
    while size * 2 // 3 < count:
        size *= 2
    mask = size - 1
    run, place = [], 0
    for _ in range(count // 2):
        run.append(place)
        place = (place * 5 + 1) & mask
    filled = bytearray(size)
    for place in run:
        filled[place] = 1
    found, candidate = list(run), size
    while len(found) < count:
        place, perturb = candidate & mask, candidate
        while perturb and filled[place]:
            perturb >>= 5
            place = (place * 5 + perturb + 1) & mask
        if filled[place]:
            found.append(candidate)
        candidate += 1
    return found


def uuids_of_one_hash(count: int) -> list[UUID]:
    """Return UUIDs of one hash, which is that of their number: Python takes it modulo 2**61 - 1."""
    return [UUID(int=number * (2**61 - 1)) for number in range(count)]
