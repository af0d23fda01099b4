"""A progress bar on standard error, while that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import click

STEPS: Final = 200
"""How many times a bar is drawn."""


@contextmanager
def progress(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs. Yields a function that takes how many items were done since its last call.

    :param total: how many items there are. Nothing is shown for none, or when standard error is no terminal.
    """
    if not total or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(
        length=total, label=label, file=sys.stderr, show_pos=True, update_min_steps=max(1, total // STEPS)
    ) as bar:

        def advance(done: int) -> None:
            with suppress(OSError):  # the terminal is gone, and the work goes on
                bar.update(done)

        yield advance
