"""Commands whose options also come from the environment and from a TOML file, and whose help groups them.

An option has the same name everywhere: ``--drain-timeout`` is ``RPC_DRAIN_TIMEOUT`` in the environment, and
``drain-timeout`` in the file. The command line comes first, then the environment, then the file.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import click
from click.core import ParameterSource

from rpc.errors import ConfigurationError
from rpc.small_files import read_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX: Final = "RPC"
OTHERS: Final = "Other options"
"""The group of ``--help``."""

WORDS: Final = "rpc.cli.settings.words"
"""The key of the command's own words in click's context."""


class Setting(click.Option):
    """An option with a group, whose errors say where its value comes from."""

    def __init__(self, *args: Any, group: str = OTHERS, **attributes: Any) -> None:
        """:param group: the heading in the help."""
        super().__init__(*args, **attributes)
        self.group = group

    @property
    def key(self) -> str:
        """Its name in the file."""
        return max(self.opts, key=len).lstrip("-")

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return its name, with the environment variable that has the value."""
        hint = super().get_error_hint(ctx)
        if ctx is not None and ctx.get_parameter_source(self.name or "") is ParameterSource.ENVIRONMENT:
            return f"{hint} ({_variable(self)})"
        return hint


class GroupedCommand(click.Command):
    """A command with settings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words, for worker processes that are started with them."""
        ctx.meta[WORDS] = list(args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group, in the order of the options."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", OTHERS), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)


def read_config(ctx: click.Context, _: click.Parameter, path: str | None) -> None:
    """Take the values of a TOML file as the defaults of the command. Each is checked here, so errors name the file.

    :raises click.BadParameter: the file cannot be read, or has an unknown key or a wrong value.
    """
    if path is None:
        return
    try:
        table = tomllib.loads(read_file("--config", path).decode())
    except ConfigurationError as error:
        raise click.BadParameter(str(error).partition("=")[2]) from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError; nested too deeply
        raise click.BadParameter(f"{path}: is no TOML: {error}") from None
    allowed = {_key(parameter): parameter for parameter in ctx.command.params if _is_in_file(parameter)}
    found: dict[str, Any] = {}
    for key, value in table.items():
        parameter = allowed.get(key.replace("_", "-"))
        if parameter is None or parameter.name is None:
            raise click.BadParameter(f"{path}: there is no option {key!r}; write one of {', '.join(allowed)}")
        if parameter.name in found:
            raise click.BadParameter(f"{path}: {key} is given twice")
        found[parameter.name] = _checked(ctx, parameter, f"{path}: {key}", value)
    ctx.default_map = found


def _checked(ctx: click.Context, parameter: click.Parameter, named: str, value: Any) -> Any:
    """Return a value of the file as words of a command line, which have the meaning that they have there."""
    words: Any = [_word(named, each) for each in value] if isinstance(value, list) else _word(named, value)
    if isinstance(words, list) != (parameter.nargs == -1):
        raise click.BadParameter(f"{named}: must be {'a list' if parameter.nargs == -1 else 'one value'}")
    try:
        parameter.process_value(ctx, words)
    except click.BadParameter as error:
        problem = f"{named}: {error.message}"
    else:
        return words
    del value, words  # no traceback shows them
    raise click.BadParameter(problem)


def _word(named: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    raise click.BadParameter(f"{named}: must be text, a number, true or false")


def _key(parameter: click.Parameter) -> str:
    return parameter.key if isinstance(parameter, Setting) else str(parameter.name)


def _is_in_file(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument) or (isinstance(parameter, Setting) and not parameter.is_eager)


def _variable(parameter: click.Parameter) -> str:
    return f"{PREFIX}_{str(parameter.name).upper()}"


def is_in_environment(*names: str) -> bool:
    """Return whether one of the variables is set, and not empty."""
    return any(os.environ.get(name) for name in names)
