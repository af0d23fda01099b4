"""Which dead letters a command line means."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import click

from rpc.cli.dead_letters import Letter
from rpc.cli.dead_text import printable


@attrs.frozen
class Choice:
    """Letters by their numbers or message ids, or all of them when there is no word.

    A message id is known as it is and as a list shows it, and with ``id:`` before it, which one of digits alone needs.
    """

    words: frozenset[str]

    def means(self, letter: Letter) -> bool:
        """Whether the letter is one of them."""
        return not self.words or not self.words.isdisjoint(_names(letter))

    def of(self, letters: Sequence[Letter]) -> list[Letter]:
        """Return those of the letters that are meant, in their order.

        :raises click.ClickException: a word means none of them. Then nothing is to be done by halves.
        """
        missing = self.words.difference(*map(_names, letters))
        if missing:
            raise click.ClickException(
                f"no such dead letter: {', '.join(map(printable, sorted(missing)))}; there are {len(letters)}. List "
                "them again, for numbers change"
            )
        return [letter for letter in letters if self.means(letter)]


def _names(letter: Letter) -> set[str]:
    ids = {letter.message_id, printable(letter.message_id)} if letter.message_id else set()
    return {str(letter.number), *(f"id:{name}" for name in ids), *(name for name in ids if not name.isdecimal())}
