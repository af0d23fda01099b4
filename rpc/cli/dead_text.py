"""Dead letters as text: a line each for a list, and the heading of one.

Peers wrote these texts. Control characters, which a terminal would obey, are shown as JSON escapes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from rpc.cli.dead_letters import Letter
from rpc.errors import CodecError
from rpc.headers import DEAD_REASON, DEAD_SHA256, DEAD_SIZE
from rpc.messages import Properties
from rpc.printable import printable

WIDEST: Final = 40
"""Characters up to which the columns of a list are aligned."""

NAMED: Final = 10
"""Letters that a message lists; the others are counted."""

ALIGNMENTS: Final = (">", "<", "<", ">", "<", "<")

SHOWN_BY_NAME: Final = frozenset((DEAD_REASON, DEAD_SIZE, DEAD_SHA256))
"""Headers that are fields of a letter."""


def count(number: int) -> str:
    """Return the number of letters, such as ``1 dead letter``."""
    return f"{number} dead letter{'' if number == 1 else 's'}"


def label(letter: Letter) -> str:
    """Return a letter's method and message id, which stay when its number changes."""
    return f"{printable(letter.method or '?')}, message id {printable(letter.message_id or '?')}"


def some(named: Sequence[str]) -> str:
    """Return the first lines, indented, and the number of the others."""
    more = [f"and {len(named) - NAMED} more"] if len(named) > NAMED else []
    return "".join(f"\n  {line}" for line in [*named[:NAMED], *more])


def lines(letters: Sequence[Letter]) -> Iterator[str]:
    """Yield a line for each letter: number, kind, method, size, message id, reason."""
    rows = [_cells(letter) for letter in letters]
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    widths[-1:] = [0]  # the reason is the last column
    for row in rows:
        yield "  ".join(f"{cell:{align}{width}}" for cell, align, width in zip(row, ALIGNMENTS, widths, strict=True))


def _cells(letter: Letter) -> tuple[str, ...]:
    return (
        str(letter.number),
        letter.kind.value,
        printable(letter.method or "?"),
        f"{letter.size} bytes" if letter.original_size is None else f"{letter.size} of {letter.original_size} bytes",
        printable(letter.message_id or "?"),
        printable(letter.reason or "no reason given"),
    )


def json_line(letter: Letter) -> str:
    """Return a line of the list as a JSON object; a missing field is null."""
    names = ("method", "size", "original_size", "message_id", "reason")
    fields = {name: getattr(letter, name) for name in names}
    return json.dumps({"number": letter.number, "kind": letter.kind.value, **fields})


def heading(letter: Letter) -> Iterator[str]:
    """Yield the lines of a letter that precede its body."""
    yield f"letter {letter.number}"
    yield f"  kind: {letter.kind.value}"
    yield f"  reason: {printable(letter.reason or 'none given')}"
    assert letter.content is not None
    try:
        properties = letter.content.properties
    except CodecError:  # it is shown as the reason
        properties = Properties()
    for name, value in attrs.asdict(properties, recurse=False).items():
        if name == "headers":
            headers = {key: item for key, item in (value or {}).items() if key not in SHOWN_BY_NAME}
            yield from (f"  header {printable(key)}: {printable(repr(item))}" for key, item in headers.items())
        elif value is not None:
            yield f"  {name}: {printable(str(value))}"
