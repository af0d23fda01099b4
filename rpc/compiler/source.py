"""One IDL file as the other modules see it: its path, its text without comments, and the files that it includes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import attrs

STRING: Final = r"""(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
"""A literal in an IDL, as a regular expression."""

_STRING_OR_COMMENT: Final = re.compile(rf"(?P<string>{STRING})|/\*.*?\*/|(?://|\#)[^\n]*", re.DOTALL)


@attrs.frozen
class Source:
    """One IDL file.

    :ivar path: where it is, with all links resolved: two ways to the same file are one source.
    :ivar shown: its path in messages, written as the user wrote it.
    :ivar code: its text with comments blanked, character for character.
    :ivar includes: every file that it includes, directly or not; each file follows the files that it includes.
    :ivar direct: the files that it includes directly, in its order.
    :ivar xml: the parsed IDL of the file and of its includes, as the Thrift compiler's ``xml:merge`` writes it.
    """

    path: Path
    shown: str
    code: str = attrs.field(repr=False)
    includes: tuple[Path, ...] = attrs.field(default=(), repr=False)
    direct: tuple[Path, ...] = attrs.field(default=(), repr=False)
    xml: str = attrs.field(default="", repr=False)

    @property
    def program(self) -> str:
        """Thrift's name for the file, by which other files refer to its definitions: the name up to the last dot."""
        return self.path.stem

    def locate(self, *phrases: str) -> str:
        """Return the place of some phrases, each searched for after the previous one: ``file:line``, or the file alone.

        :param phrases: words or signs with a blank between them, such as ``struct Work`` or ``add (``.
        """
        position, line = 0, None
        for phrase in phrases:
            pattern = r"\s*".join(re.escape(part) for part in phrase.split())
            end = r"(?!\w)" if phrase[-1:].isalnum() or phrase.endswith("_") else ""
            found = re.compile(rf"(?<![\w.]){pattern}{end}").search(self.code, position)
            if found is None:
                break
            position, line = found.end(), self.code.count("\n", 0, found.end()) + 1
        return self.shown if line is None else f"{self.shown}:{line}"


def code_of(text: str) -> str:
    """Return IDL text with each character of a comment replaced by a blank; line breaks stay."""

    def blank(found: re.Match[str]) -> str:
        return found[0] if found["string"] is not None else re.sub(r"[^\n]", " ", found[0])

    return _STRING_OR_COMMENT.sub(blank, text)
