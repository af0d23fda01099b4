"""An option ``NAME=VALUE`` of the command line, which can be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click


def named_values(example: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, Any]]:
    """Return a callback of click for such an option. It returns the values by name. A value that is no JSON is text.

    :param example: for the error.
    """

    def convert(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
        found = {}
        for given in values:
            name, equals, value = given.partition("=")
            if not (name and equals):
                raise click.BadParameter(f"write it as NAME=VALUE, such as {example}")  # the word may be a secret
            try:
                found[name] = json.loads(value)
            except ValueError:
                found[name] = value
            except RecursionError as error:
                raise click.BadParameter(f"the value of {name} is nested too deeply") from error
        return found

    return convert
