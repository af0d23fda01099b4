"""The option ``-H``: metadata of a call."""

from __future__ import annotations

from typing import Final

import click


def _read(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise click.BadParameter("must be NAME=VALUE")  # without the word, which may be a secret
        if name in found:
            raise click.BadParameter(f"{name!r} is given twice")
        found[name] = value
    return found or None


metadata_option: Final = click.option(
    "--header",
    "-H",
    "headers",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_read,
    help="Metadata that the handler sees; the value is text. Can be repeated.",
)
