"""``scripts/test --matrix``: the tests under each Python, the oldest dependencies, and each RabbitMQ."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Sequence

import click

from tools.matrix.commands import NotMade
from tools.matrix.legs import STEPS, Leg, legs
from tools.matrix.pythons import FOLDER
from tools.matrix.verdicts import Outcome, Verdict, table
from tools.nodes.debian import Failed, NotPossible

SHOWN_LINES = 200
"""Lines of a failed step's output that are shown; all are in its log."""


def run_leg(leg: Leg, wanted: Sequence[str]) -> Outcome:
    """Make the environment of a leg, run its steps, and tell each verdict at once."""
    try:
        environment = leg.make()
    except NotPossible as missing:
        click.echo(f"{leg.name}: skipped: {missing}")
        return Outcome(leg.name, f"skipped: {missing}")
    except (NotMade, Failed) as error:
        click.echo(f"{leg.name}: FAILED: {error}")
        return Outcome(leg.name, "FAILED: could not be made", is_made=False)
    outcome = Outcome(leg.name, environment.description)
    for step in leg.steps:
        if wanted and step.name not in wanted:
            continue
        log = FOLDER / "logs" / f"{leg.name}.{step.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        status = environment.run(step.command, log)
        lines = log.read_text(errors="replace").strip().splitlines()
        verdict = Verdict(status == 0, time.monotonic() - began, lines[-1] if lines else "")
        outcome.verdicts[step.title] = verdict
        click.echo(f"{leg.name}: {step.title}: {verdict}: {verdict.last_line}")
        if not verdict.passed:
            click.echo("\n".join(lines[-SHOWN_LINES:]))
    return outcome


def this_release() -> str:
    """Return the code name of this machine's release, or nothing."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


@click.command()
@click.option("--only", "chosen", multiple=True, metavar="LEG", help="a leg; may be given more than once")
@click.option("--step", "steps", multiple=True, type=click.Choice([step.name for step in STEPS]), help="a step of each")
@click.option("--list", "listing", is_flag=True, help="print the names of the legs")
def main(chosen: tuple[str, ...], steps: tuple[str, ...], listing: bool) -> None:
    """Run the demo and the tests in each environment, and print a table of verdicts and minutes."""
    by_name = {leg.name: leg for leg in legs(release=this_release())}
    unknown = [name for name in chosen if name not in by_name]
    if unknown:
        raise click.UsageError(f"no leg {', '.join(unknown)}; there are {', '.join(by_name)}")
    if listing:
        click.echo("\n".join(by_name))
        return
    outcomes: list[Outcome] = []
    try:
        # Each outcome is kept at once: an interrupted run has a table as well.
        outcomes.extend(run_leg(by_name[name], steps) for name in chosen or by_name)
    finally:
        click.echo(f"\n{table(outcomes)}")
    sys.exit(any(not outcome.passed for outcome in outcomes))


if __name__ == "__main__":
    main()
