"""Types of options, for several verbs of ``thrift-rpc`` and for ``twistd rpc-worker``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import click

from rpc.access_log import JSON, TEXT
from rpc.worker.refused_worker import EXIT, WAIT

if TYPE_CHECKING:
    SecondsType = click.ParamType[float]
else:
    SecondsType = click.ParamType  # generic from click 8.4 on


class Seconds(SecondsType):
    """A finite number of seconds."""

    name = "seconds"

    def __init__(self, *, zero: bool) -> None:
        """:param zero: whether 0 is allowed."""
        self._zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number.

        :raises click.BadParameter: the value is none.
        """
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not (0 < seconds < math.inf or (self._zero and seconds == 0)):
            allowed = "0 or more" if self._zero else "more than 0"
            self.fail(f"{value!r} is no number of seconds, {allowed}", param, ctx)
        return seconds


class WholeNumber(click.IntRange):
    """A number of a range. Its error names the range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number.

        :raises click.BadParameter: the value is none, or is not in the range.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            allowed = f"of {self.min} or more" if self.max is None else f"from {self.min} to {self.max}"
            self.fail(f"{value!r} is no whole number {allowed}", param, ctx)


SECONDS: Final = Seconds(zero=True)
SOME_SECONDS: Final = Seconds(zero=False)
PORT: Final = WholeNumber(0, 65535)
"""A TCP port, or 0 for a free one."""

ON_REFUSAL: Final = click.Choice([EXIT, WAIT])
ACCESS_LOG: Final = click.Choice([TEXT, JSON])
