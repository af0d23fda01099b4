"""``scripts/bench``: measures all peers, and writes ``docs/performance.md`` with its charts."""

from __future__ import annotations

import platform
import signal
import time
from collections.abc import Callable, Collection
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import attrs
import click

from tools.bench import charts, report, results
from tools.bench.catalogue import BY_NAME, CALLERS, PEERS, Peer, needed
from tools.bench.effort import PARTS, QUICK, Effort
from tools.bench.growth import growth
from tools.bench.jam import jam
from tools.bench.machine import project_state, this_machine
from tools.bench.profiles import profile
from tools.bench.results import Results
from tools.bench.rounds import latencies, throughput
from tools.bench.testbed import PEER_TROUBLE, Testbed
from tools.processes import PROJECT

NOTES = PROJECT / "tools" / "bench" / "notes.md"
DOCS = PROJECT / "docs"
SCRAP = PROJECT / "tools" / "bench" / ".results"
CACHE = PROJECT / "tools" / "bench" / ".envs"

RESULTS = "performance.json"

began = time.monotonic()


def say(text: str) -> None:
    """Print progress, with the time."""
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    for line in text.splitlines():
        click.echo(f"{minutes:3}:{seconds:02}  {line}")


RECORDS = {
    "throughput": "samples",
    "callers": "callers",
    "latency": "latencies",
    "growth": "growth",
    "jam": "jam",
    "profile": "profile",
}
"""Where the records of each part are kept."""


def measure(only: Collection[str], parts: tuple[str, ...], effort: Effort, cache: Path, folder: Path) -> Results:
    """Measure `parts`, and write them to `folder` as they are done; results of other parts stay.

    :param only: names of peers; empty: all.
    """
    file = folder / RESULTS
    found = results.read(file) if file.exists() else Results(this_machine())
    found.machine = this_machine()
    say("starting a private RabbitMQ node")
    with Testbed(cache) as testbed:
        found.versions = {**testbed.versions(), "Python": platform.python_version()}
        asked = needed(parts, only)
        able = installed(testbed, asked, found)
        peers = [peer for peer in PEERS if peer.name in able]
        callers = [peer for peer in CALLERS if peer.name in able]
        measures: dict[str, Callable[[], list[Any]]] = {
            "throughput": lambda: throughput(testbed, peers, effort, say),
            "callers": lambda: throughput(testbed, callers, attrs.evolve(effort, seconds=effort.caller_seconds), say),
            "latency": lambda: latencies(testbed, peers, effort, say),
            "growth": lambda: growth(testbed, peers, effort, say),
            "jam": lambda: jam(testbed, peers, effort, say),
            "profile": lambda: profile(testbed, peers, effort, say),
        }
        for part in parts:
            taken = datetime.now(timezone.utc)
            testbed.part = part
            setattr(found, RECORDS[part], measures[part]())
            found.taken[part] = f"{taken:%Y-%m-%d %H:%M} UTC, {project_state()}"
            found.replace_failures(part, asked, testbed.failures)
            found.write(file)
            publish(found, folder)
    return found


def publish(found: Results, folder: Path) -> None:
    """Write page and charts."""
    charts.draw(found, folder / "charts")
    notes = NOTES.read_text() if NOTES.exists() else ""
    (folder / "performance.md").write_text(report.write(found, notes))


def installed(testbed: Testbed, asked: dict[str, Peer], found: Results) -> set[str]:
    """Install all `asked`; return the names of those that could be."""
    able = set()
    for peer in asked.values():
        try:
            for each in {peer, peer.caller or peer}:
                found.peer_versions[each.folder.name] = testbed.environment(each).versions
            able.add(peer.name)
            say(f"  {peer.title} is installed")
        except PEER_TROUBLE as error:
            say(f"  {peer.title} cannot be installed: {error}")
            testbed.failed(peer, "installing it", error)
    return able


@click.command(context_settings={"show_default": True})
@click.option("--rounds", type=click.IntRange(min=1), help=f"Rounds.  [default: {Effort().rounds}]")
@click.option("--calls", type=click.IntRange(min=1), help="Calls of one measurement, instead of --seconds.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="How long one takes.  [default: 3; callers: 1]")
@click.option("--depth", type=click.IntRange(min=1), help="The deepest request queue.  [default: 1000000]")
@click.option("--day", type=click.IntRange(min=1), help="Calls of the longest run.  [default: 2000000]")
@click.option("--only", multiple=True, type=click.Choice(sorted(BY_NAME)), help="These peers; again for more.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="These parts; again for more.")
@click.option("--quick", is_flag=True, help="One round of few calls, to see that everything runs.")
@click.option("--report-only", is_flag=True, help="Write the page again from the results of the last run.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of page, charts and results.  [default: docs, or "
    "tools/bench/.results with --quick and --only, whose figures are not for readers]",
)
@click.option(
    "--cache",
    default=CACHE,
    type=click.Path(path_type=Path),
    help="Folder of the peers' environments.",
    show_default="tools/bench/.envs",
)
def main(
    rounds: int | None,
    calls: int | None,
    seconds: float | None,
    depth: int | None,
    day: int | None,
    only: tuple[str, ...],
    parts: tuple[str, ...],
    quick: bool,
    report_only: bool,
    out: Path | None,
    cache: Path,
) -> None:
    """Measure this project beside others, and write docs/performance.md with its charts."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way all that was started is ended
    folder = (out or (SCRAP if quick or only else DOCS)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if report_only:
        found = results.read(folder / RESULTS)
        publish(found, folder)
    else:
        effort = chosen_effort(QUICK if quick else Effort(), rounds, calls, seconds, depth, day)
        found = measure(only, parts or PARTS, effort, cache.absolute(), folder)
    say(f"written: {folder / 'performance.md'}")
    for failure in found.failures:
        say(f"FAILED: {BY_NAME[failure.peer].title}, {failure.doing}")


def chosen_effort(
    effort: Effort, rounds: int | None, calls: int | None, seconds: float | None, depth: int | None, day: int | None
) -> Effort:
    """`effort` with the changes of the command line."""
    changes: dict[str, Any] = {"calls": calls, "seconds": seconds, "caller_seconds": seconds, "rounds": rounds}
    if seconds is not None and calls is None:
        changes["calls"] = 0
    if rounds is not None:
        changes["slow_rounds"] = min(rounds, effort.slow_rounds)
    if depth is not None:
        changes["depths"] = (min(depth, effort.depths[0]), depth)
        changes["drained"] = min(depth, effort.drained)
    if day is not None:
        changes |= {"day": day, "day_step": max(1, min(day // 2, effort.day_step))}
    return attrs.evolve(effort, **{name: value for name, value in changes.items() if value is not None})


if __name__ == "__main__":
    main()
