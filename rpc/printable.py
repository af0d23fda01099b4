"""Text of peers, files and command lines as terminals and logs can show it.

A terminal obeys control characters: escape sequences rewrite what is on the screen, or the title of the window; C1
characters and DEL do the same on some; bidirectional marks show text in another order. Everything that is shown goes
through these functions: standard output and errors (:mod:`rpc.cli.standard_output`), and the log (:mod:`rpc.log`).
"""

from __future__ import annotations

import json
from functools import lru_cache


def printable(text: str) -> str:
    """Return the text with every character escaped, as in JSON, that a terminal does not show. JSON stays JSON."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    """Return a character, or its escape. Kept, because a text of a megabyte would hold the reactor for long."""
    return character if character.isprintable() else json.dumps(character)[1:-1]


def printable_lines(text: str) -> str:
    """Return the text of several lines with every character but the line breaks escaped that is not shown."""
    return "\n".join(map(printable, text.split("\n")))
