"""``thrift-rpc stats``: the counts of the workers of a service, added up; once, or again and again."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
import click
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from rpc.cli.completion import complete_service
from rpc.cli.control_options import (
    FAILED,
    Asking,
    asks_workers,
    finite,
    json_of_problems,
    milliseconds,
    queue_option,
    say_json,
    say_lines,
    split,
    table,
    tell_problems,
)
from rpc.cli.worker_options import SOME_SECONDS
from rpc.control import Answers, Control, WorkerStats
from rpc.control.call_stats import BOUNDS
from rpc.control.totals import MethodTotal, ServiceTotal, add_up
from rpc.default_reactor import default_reactor

INTERVAL: Final = 2.0

HEAD: Final = ("METHOD", "CALLS", "EXCEPTIONS", "ERRORS", "CALLS/S", "MEAN", "P50", "P99")


@attrs.frozen
class Look:
    """One look at the workers.

    :ivar at: seconds of the clock.
    """

    at: float
    answers: Answers[WorkerStats]


@attrs.frozen
class Shown:
    """The numbers that a look shows.

    :ivar total: of all workers.
    :ivar methods: the calls since the last look, or since the start of the workers.
    :ivar seconds: between the looks; ``None``: there was one only.
    """

    total: ServiceTotal
    methods: Mapping[str, MethodTotal]
    seconds: float | None


@click.command("stats", short_help="Show calls, errors and durations of each method.")
@click.argument("service", metavar="SERVICE[@INSTANCE]", shell_complete=complete_service)
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C, and show what happened in between.")
@click.option(
    "--interval", type=SOME_SECONDS, default=INTERVAL, show_default=True, help="Seconds between the looks of --watch."
)
@queue_option
@asks_workers
def stats_command(service: str, watch: bool, interval: float, queue: str | None, **options: Any) -> None:
    """Show calls, errors and durations of each method of a service, of all its workers together.

    Counts are those since the start of each worker; with --watch those between two looks, and their rate. Durations
    count from the beginning of a call to its reply: mean, median, and the 99th percentile, interpolated in buckets.
    Exceptions are those of the IDL, which callers expect; errors are all other calls without a result. Workers count
    calls when they run by "thrift-rpc serve" or "twistd rpc-worker", or have the option stats=True.

    Exit status: 0 when a worker has answered; 1 when none has, or the command failed; 2 when the command line is wrong.
    """
    name, instance = split(service)
    asking = Asking(**options)

    async def work(control: Control) -> bool:
        before: Look | None = None
        while True:
            answers = await control.stats(name, instance=instance, queue=queue, wait=asking.wait)
            look = Look(default_reactor().seconds(), answers)
            if not watch or before is not None:
                _show(service, look, before, asking, clear=watch)
            if not watch:
                return bool(answers.good)
            before = look
            await _pause(interval)

    try:
        answered = asking.run(work)
    except click.Abort:
        if not watch:
            raise
        return  # Ctrl-C is how it ends
    if not answered:
        raise SystemExit(FAILED)


def _pause(seconds: float) -> Deferred[None]:
    paused: Deferred[None] = deferLater(default_reactor(), seconds)
    return paused


def _show(service: str, look: Look, before: Look | None, asking: Asking, *, clear: bool) -> None:
    name, _ = split(service)
    shown = compare(name, look, before)
    if asking.as_json:
        say_json({**as_json(name, look, shown), **json_of_problems(look.answers)})
        return
    if clear and sys.stdout.isatty():
        click.clear()
    if look.answers.good:
        say_lines(lines(name, len(look.answers), shown))
    tell_problems(look.answers, asking.wait, service)


def compare(name: str, look: Look, before: Look | None) -> Shown:
    """Return the numbers to show. Only workers count that answered both times, and were not started in between."""
    total = add_up(look.answers, name)
    if before is None:
        return Shown(total, total.methods, None)
    earlier = {worker.instance: worker for worker in before.answers}
    same = [worker for worker in look.answers if worker.uptime >= _uptime(earlier.get(worker.instance))]
    added = add_up(same, name).since(add_up([earlier[worker.instance] for worker in same], name))
    return Shown(total, added, look.at - before.at)


def _uptime(worker: WorkerStats | None) -> float:
    return math.inf if worker is None else worker.uptime


def lines(name: str, workers: int, shown: Shown) -> Iterator[str]:
    """Yield the lines of a look."""
    total = shown.total
    yield (
        f"{name}: {workers} {'worker' if workers == 1 else 'workers'}, {total.running} of {total.concurrency} slots in "
        f"use, {total.waiting} waiting in {'it' if workers == 1 else 'them'}"
    )
    if total.uncounted:
        yield f"these count no calls (--no-stats or stats=False), or in another way: {', '.join(total.uncounted)}"
    yield ""
    yield from table(
        HEAD, [_cells(method, each, shown.seconds) for method, each in shown.methods.items()], range(1, len(HEAD))
    )
    errors = [
        (method, error, str(number))
        for method, each in shown.methods.items()
        for error, number in sorted(each.errors.items())
    ]
    if errors:
        yield ""
        yield from table(("METHOD", "EXCEPTION OR ERROR", "CALLS"), errors, (2,))


def _cells(method: str, total: MethodTotal, seconds: float | None) -> tuple[str, ...]:
    return (
        method,
        str(total.calls),
        str(total.exceptions),
        str(total.failures),
        "-" if seconds is None else f"{total.calls / seconds:.1f}",
        *(_duration(value) for value in (total.mean, total.percentile(50), total.percentile(99))),
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds == math.inf:
        return f"> {BOUNDS[-1]:g} s"
    return milliseconds(seconds) if seconds < 1 else f"{seconds:.2f} s"


def as_json(name: str, look: Look, shown: Shown) -> dict[str, Any]:
    """Return a look as a JSON object. A percentile above the last bucket is null, and so is one of no calls."""
    total = shown.total
    return {
        "service": name,
        "workers": [worker.instance for worker in look.answers],
        "uncounted": list(total.uncounted),
        "running": total.running,
        "waiting": total.waiting,
        "concurrency": total.concurrency,
        "seconds": shown.seconds,
        "methods": {method: _json(each, shown.seconds) for method, each in shown.methods.items()},
    }


def _json(total: MethodTotal, seconds: float | None) -> dict[str, Any]:
    percentiles = {f"p{percent}": total.percentile(percent) for percent in (50, 90, 99)}
    return {
        "calls": total.calls,
        "exceptions": total.exceptions,
        "errors": total.failures,
        "rate": None if seconds is None else total.calls / seconds,
        "outcomes": dict(total.outcomes),
        "errors_by_type": dict(total.errors),
        "mean": total.mean,
        **{name: finite(value) for name, value in percentiles.items()},
    }
