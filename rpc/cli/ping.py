"""``thrift-rpc ping``: whether the workers of a service answer, and how fast."""

from __future__ import annotations

from typing import Any

import click

from rpc.cli.completion import complete_service
from rpc.cli.control_options import (
    FAILED,
    Asking,
    asks_workers,
    json_of_problems,
    milliseconds,
    problems,
    queue_option,
    say_json,
    say_lines,
    split,
    table,
)
from rpc.cli.standard_output import warn
from rpc.control import Answer, Answers, Pong
from rpc.control.names import status_name


@click.command("ping", short_help="Ask the workers of a service whether they answer.")
@click.argument("service", metavar="SERVICE[@INSTANCE]", shell_complete=complete_service)
@queue_option
@asks_workers
def ping_command(service: str, queue: str | None, **options: Any) -> None:
    """Ask the workers of SERVICE, or the one of this INSTANCE, whether they answer.

    A line for each worker: its instance, its status, the time to its answer. A worker answers while all its slots are
    taken, and while it stops; not while a handler blocks it.

    Exit status: 0 when every worker that consumes the service's queue has answered; 1 when one has not, or there is
    none, or the command failed; 2 when the command line is wrong.
    """
    name, instance = split(service)
    asking = Asking(**options)
    answers: Answers[Pong] = asking.run(
        lambda control: control.ping(name, instance=instance, queue=queue, wait=asking.wait)
    )
    missing = problems(answers, asking.wait, service)
    if asking.as_json:
        say_json({"service": name, "workers": [_json(each) for each in answers.good], **json_of_problems(answers)})
    elif answers.good:
        rows = [
            (each.value.instance, status_name(each.value.status), milliseconds(each.seconds)) for each in answers.good
        ]
        say_lines(table(("INSTANCE", "STATUS", "TIME"), rows, (2,)))
    for line in missing:
        warn(line)
    if missing:
        raise SystemExit(FAILED)


def _json(answer: Answer[Pong]) -> dict[str, Any]:
    return {
        "instance": answer.value.instance,
        "status": status_name(answer.value.status),
        "milliseconds": round(answer.seconds * 1000, 3),
    }
