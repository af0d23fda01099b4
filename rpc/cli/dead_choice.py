"""The dead letters that a command line names."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import click

from rpc.cli.dead_letters import Letter
from rpc.printable import printable


@attrs.frozen
class Choice:
    """Letters by their numbers or message ids; without a word, all letters.

    A message id is accepted as the sender wrote it and as a list shows it. ``id:`` may precede it, and must when it
    consists of digits.
    """

    words: frozenset[str]

    def includes(self, letter: Letter) -> bool:
        """Return whether the letter is one of them."""
        return not self.words or not self.words.isdisjoint(_names(letter))

    def check(self, chosen: Sequence[Letter], count: int) -> None:
        """Check that each word names a letter.

        :param chosen: all letters that the words include.
        :param count: how many letters there are.
        :raises click.ClickException: a word names none of them. Then no letter is to be touched.
        """
        if not self.words:
            return
        missing = self.words.difference(*map(_names, chosen))
        if missing:
            raise click.ClickException(
                f"no such dead letter: {', '.join(map(printable, sorted(missing)))}; there are {count}. List "
                "them again: numbers change"
            )


def _names(letter: Letter) -> set[str]:
    ids = {letter.message_id, printable(letter.message_id)} if letter.message_id else set()
    return {str(letter.number), *(f"id:{name}" for name in ids), *(name for name in ids if not name.isdecimal())}
