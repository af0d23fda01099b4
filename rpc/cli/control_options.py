"""Shared by the verbs that ask workers: their options, a question on a connection, and the lines of an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import attrs
import click
from twisted.internet.defer import Deferred

from rpc.cli.running import broker_option, errors_in_words, run_connected
from rpc.cli.standard_output import say, warn
from rpc.cli.worker_options import SOME_SECONDS
from rpc.control import Answers, Control, End
from rpc.control.answers import BLOCKED, DEAF, why_unroutable
from rpc.control.asking import WAIT
from rpc.printable import printable
from rpc.uri import BrokerURI

Command = TypeVar("Command", bound=Callable[..., Any])

FAILED: Final = 1

SILENT: Final = f"{BLOCKED}; else {DEAF}"
"""Why a worker gives no answer, when its reactor may be blocked."""


@attrs.frozen(kw_only=True)
class Asking:
    """The options of all verbs that ask workers.

    :ivar wait: seconds that workers have to answer.
    """

    broker: BrokerURI
    wait: float
    user_id: bool
    as_json: bool

    def run(self, work: Callable[[Control], Awaitable[Any]]) -> Any:
        """Connect, and ask. Returns the result of `work`, or ends the program with an error in words."""

        def connected(connection: Any, _: float | None) -> Deferred[Any]:
            async def ask() -> Any:
                return await work(Control(connection, user_id=self.user_id))

            return Deferred.fromCoroutine(ask())

        with errors_in_words():
            return run_connected(self.broker, None, connected)


user_id_option: Final = click.option(
    "--user-id", is_flag=True, help="Name the URL's user, for workers that answer some users only (--control-allow)."
)


def asks_workers(command: Command) -> Command:
    """Add the options of :class:`Asking`, by their names."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="For programs: a JSON object."),
        user_id_option,
        click.option(
            "--wait",
            type=SOME_SECONDS,
            default=WAIT,
            show_default=True,
            help="Seconds that workers have to answer. The command ends before when all have answered.",
        ),
        broker_option,
    ):
        command = option(command)
    return command


queue_option: Final = click.option(
    "--queue", metavar="NAME", help="The service's request queue, when it is not rpc.SERVICE."
)


def split(name: str) -> tuple[str, str | None]:
    """Return the service and the instance that a word names."""
    service, at, instance = name.partition("@")
    if not service or (at and not instance):
        raise click.BadParameter(f"{name!r}: write SERVICE or SERVICE@INSTANCE", param_hint="'SERVICE'")
    return service, instance or None


def say_lines(lines: Iterable[str]) -> None:
    """Print lines. Peers wrote parts of them: none becomes two."""
    say("\n".join(map(printable, lines)))


def say_json(value: object) -> None:
    """Print a value as one line of JSON."""
    say(json.dumps(value, ensure_ascii=False, allow_nan=False))


def problems(answers: Answers[Any], wait: float, service: str | None = None) -> list[str]:
    """Return a line for each reply that is no answer, for the workers that did not answer, and for a lost channel.
    Nothing when all expected workers have answered; without an answer, one line at least.

    :param service: the service that was asked, or ``SERVICE@INSTANCE``; ``None``: all workers were.
    """
    lines = []
    if answers.expected is None or answers.silent:  # otherwise they are of workers of other services
        lines = [f"{each.instance or 'a worker'}: no answer: {each.problem}" for each in answers.bad]
    if answers.end is End.UNROUTABLE:
        lines.append(why_unroutable(is_instance=service is not None and "@" in service))
    elif answers.silent:
        number = "1 worker" if answers.silent == 1 else f"{answers.silent} workers"
        is_explained = answers.bad or answers.problem is not None
        lines.append(f"{number} did not answer within {wait:g} s{'' if is_explained else f': {SILENT}'}")
    if answers.problem is not None:
        lines.append(f"the answers are incomplete: {answers.problem}")
    if not answers.good and not lines:
        lines.append(_no_answer(answers, wait, service))
    return [printable(line) for line in lines]


def _no_answer(answers: Answers[Any], wait: float, service: str | None) -> str:
    """Return the line about a question that reached workers, none of which has answered for the service."""
    if service is None:
        return (
            f"at least one worker runs, and none answered within {wait:g} s: {SILENT}. Name a service to see its queue"
        )
    if answers.expected == 0:
        return f"no worker of {service} answered: none consumes its queue"
    return f"no worker of {service} answered: 'thrift-rpc list' shows the services that are there"


def tell_problems(answers: Answers[Any], wait: float, service: str | None = None) -> None:
    """Write :func:`problems` to standard error."""
    for line in problems(answers, wait, service):
        warn(line)


def json_of_problems(answers: Answers[Any]) -> dict[str, Any]:
    """Return the fields of a JSON object about missing answers."""
    return {
        "expected": answers.expected,
        "silent": answers.silent,
        "bad": [{"instance": each.instance, "problem": each.problem} for each in answers.bad],
        "problem": answers.problem,
    }


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> list[str]:
    """Return the lines of a table, whose columns are aligned.

    :param numbers: the columns that are aligned to the right.
    """
    cells = [tuple(map(printable, row)) for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            f"{cell:>{width}}" if place in numbers else f"{cell:<{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return [line.rstrip() for line in lines]


def finite(number: float | None) -> float | None:
    """Return a number that JSON has; ``None`` for another one."""
    return number if number is not None and math.isfinite(number) else None


def milliseconds(seconds: float) -> str:
    """Return a duration, such as ``1.2 ms``."""
    return f"{seconds * 1000:.1f} ms"


def duration(seconds: float) -> str:
    """Return an uptime, such as ``3 d 4 h`` or ``12 s``; ``?`` for a number that is none."""
    if not math.isfinite(seconds):
        return "?"
    left = max(0, int(seconds))
    days, left = divmod(left, 86400)
    hours, left = divmod(left, 3600)
    minutes, left = divmod(left, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2])
