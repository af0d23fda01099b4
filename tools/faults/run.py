"""``scripts/faults``: injects all faults, prints each observation, and writes ``docs/reliability.md``.

The page has a column for each version of RabbitMQ that was tried: the one whose commands are first on the PATH.
"""

from __future__ import annotations

import platform
import signal
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from tools.bench.machine import project_state, this_machine
from tools.faults import report, results
from tools.faults.cluster import RabbitMQCluster
from tools.faults.peers import PROGRAMS, kill_test
from tools.faults.perform import perform
from tools.faults.results import Results, Run, Seen
from tools.faults.scenario import Result, Scenario
from tools.faults.scenarios.table import ALL, BY_NAME
from tools.nodes.rabbitmq import RabbitMQNode
from tools.processes import PROJECT

DOCS = PROJECT / "docs"
SCRAP = PROJECT / "tools" / "faults" / ".results"
CACHE = PROJECT / "tools" / "bench" / ".envs"
PAGE, RESULTS = "reliability.md", "reliability.json"
PEERS = "peers"


def taken() -> str:
    """When, and of which state of the project."""
    return f"{datetime.now(timezone.utc):%Y-%m-%d} UTC, {project_state()}"


async def inject(scenarios: Iterable[Scenario], quick: bool, found: Results, folder: Path) -> None:
    """Play `scenarios`, first those that need one node and then those that need three, and write the observations."""
    chosen = list(scenarios)
    for cluster in (False, True):
        alike = [scenario for scenario in chosen if scenario.cluster is cluster]
        if not alike:
            continue
        with ExitStack() as stack:
            broker: Any = RabbitMQCluster() if cluster else RabbitMQNode()
            stack.callback(broker.close)
            await deferToThread(broker.start)
            one = broker.nodes[0] if cluster else broker
            versions = await deferToThread(_versions, one)
            run = found.runs.setdefault(".".join(versions["RabbitMQ"].split(".")[:2]), Run())
            run.versions |= versions
            for scenario in alike:
                arguments = scenario.quick if quick else scenario.full
                result = await perform(scenario, one, broker if cluster else None, arguments)
                tell(result)
                run.seen[scenario.name] = Seen(result, taken(), "quick" if quick else "full")
                publish(found, folder)


def _versions(node: RabbitMQNode) -> dict[str, str]:
    erlang = node.ctl("eval", 'io:format(<<"~s">>, [erlang:system_info(otp_release)]).')
    return {
        "RabbitMQ": node.ctl("version").strip(),
        "Erlang/OTP": erlang.splitlines()[0].removesuffix("ok"),
        "Python": platform.python_version(),
    }


async def compare(found: Results, folder: Path, cache: Path) -> None:
    """Put the peers through the kill test."""
    for name in PROGRAMS:
        peer = await deferToThread(kill_test, name, cache)
        click.echo(
            f"{peer.title:24} {peer.answered} answered, {peer.failed} failed, {peer.never} never returned, "
            f"slowest {peer.slowest:.1f} s  {peer.problem[:100]}"
        )
        found.peers[name] = peer
        found.peers_taken = taken()
        publish(found, folder)


def tell(result: Result) -> None:
    """Print a row."""
    click.echo(f"{'met' if result.met else 'NOT MET':8} {result.seconds:6.1f} s  {result.name:26} {result.seen}")
    if result.unfired or result.wrong or result.left:
        click.echo(f"{'':28} unfired {result.unfired}, wrong {result.wrong}, left {result.left}")


def publish(found: Results, folder: Path) -> None:
    """Write the page and its data."""
    found.write(folder / RESULTS)
    (folder / PAGE).write_text(report.write(found))


async def main(reactor: Any, only: tuple[str, ...], quick: bool, folder: Path, cache: Path) -> None:
    """Play the chosen scenarios, and write the page."""
    file = folder / RESULTS
    found = results.read(file) if file.exists() else Results()
    machine = this_machine()
    found.machine = f"{machine.cores} cores of {machine.processor}, {machine.memory_gigabytes} GiB, {machine.system}"
    await inject([scenario for scenario in ALL if not only or scenario.name in only], quick, found, folder)
    if PEERS in only or not (only or quick):
        await compare(found, folder, cache)
    click.echo(f"written: {folder / PAGE}")


@click.command(context_settings={"show_default": True})
@click.option("--quick", is_flag=True, help="The short form of each fault, as scripts/test has it; without the peers.")
@click.option(
    "--only", multiple=True, type=click.Choice([*BY_NAME, PEERS]), help="These faults; again for more.", metavar="NAME"
)
@click.option("--list", "listing", is_flag=True, help="Say the names of all faults.")
@click.option("--report-only", is_flag=True, help="Write the page again from the results of the last run.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of page and results; results of other faults stay.  [default: docs, or tools/faults/.results "
    "with --quick and --only]",
)
@click.option("--cache", default=CACHE, type=click.Path(path_type=Path), help="Folder of the peers' environments.")
def command(
    quick: bool, only: tuple[str, ...], listing: bool, report_only: bool, out: Path | None, cache: Path
) -> None:
    """Inject faults, and write docs/reliability.md."""
    if listing:
        for scenario in ALL:
            click.echo(f"{scenario.name:26} {scenario.fault}")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way all that was started is ended
    folder = (out or (SCRAP if quick or only else DOCS)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if report_only:
        publish(results.read(folder / RESULTS), folder)
        return
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, only, quick, folder, cache.absolute())))


if __name__ == "__main__":
    sys.exit(command())
