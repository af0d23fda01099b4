"""The demo: services in two workers on a broker of its own, thousands of calls, and one worker killed in their midst.

Run it by ``scripts/demo``. Its exit status is 0 only when every call was answered, and answered right.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import click
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from generated.kvstore import KeyValueStore
from generated.report import Report
from generated.report.ttypes import Summary
from rpc.dashboard.server import DEFAULT_PORT
from tools.demo.brokers import Broker, EmbeddedBroker, RabbitMQBroker
from tools.demo.processes import TwistdProcess
from tools.demo.run import Interruption, Tally, call_all
from tools.demo.text import figures, project_lines
from tools.demo.watch import address_of, start_dashboard, watch
from tools.demo.workers import SERVICES, start_worker, wait_until_serving
from tools.processes import ProcessFailed

LOG_LINES = 20
"""How much of each log is shown when something fails."""


class DemoFailed(Exception):
    """Something that the demo is there to show did not hold."""


@attrs.frozen
class Options:
    """The command line."""

    lines: int
    calls: int
    in_flight: int
    timeout: float
    rabbitmq: bool


@attrs.define
class Demo:
    """The steps on the reactor, and their findings."""

    options: Options
    broker: Broker
    workers: list[TwistdProcess]
    tallies: list[Tally] = attrs.field(factory=list)
    findings: list[str] = attrs.field(factory=list)

    async def run(self) -> None:
        """Connect, and take the steps."""
        connection = await rpc.connect(self.broker.url)
        try:
            lines = project_lines(self.options.lines)
            store = connection.client(KeyValueStore, timeout=self.options.timeout)
            await self.load(store, lines)
            summary = await self.ask_report(connection.client(Report, timeout=self.options.timeout), figures(lines))
            await self.read_back(store, summary, lines)
            await self.calculate(connection.client(Calculator, timeout=self.options.timeout))
        finally:
            await connection.close()

    async def load(self, store: Any, lines: dict[str, bytes]) -> None:
        """Put every line into the store."""
        tally = self.tally("kvstore.put", len(lines))
        with progress(f"Loading {len(lines):,} lines of the project into kvstore", len(lines)) as bar:
            calls = ((entry, None) for entry in lines.items())
            await call_all(tally, store.put, calls, self.options.in_flight, lambda: bar.update(1))
        check(tally)

    async def ask_report(self, report: Any, expected: Summary) -> Summary:
        """Have report read all of it back from kvstore, and calculator add it up."""
        tally = self.tally("report.summarize", 1)
        with step("Asking report for figures, which asks kvstore and calculator"):
            began = time.monotonic()
            summary: Summary = await report.summarize("", expected.documents)
            tally.seconds = time.monotonic() - began
        if summary != expected:
            raise DemoFailed(f"report says {summary}, and the lines themselves say {expected}")
        tally.answered = 1
        self.findings.append(
            f"report says: {summary.documents:,} lines, {summary.words:,} words, {summary.bytes:,} bytes, "
            f"{summary.meanBytes:.1f} a line: as counted here without it"
        )
        return summary

    async def read_back(self, store: Any, summary: Summary, lines: dict[str, bytes]) -> None:
        """Get the longest line from the store."""
        key = summary.largestKey or ""
        value = await store.get(key)
        if value != lines[key]:
            raise DemoFailed(f"kvstore has {value!r} for {key}, not {lines[key]!r}")
        self.findings.append(f"kvstore says: the longest line, {key}, is {value.decode().strip()[:40]!r}...")

    async def calculate(self, calculator: Any) -> None:
        """Add numbers; when half of the sums are there, one of the two workers is killed."""
        count = self.options.calls
        tally = self.tally("calculator.add", count)
        victim, survivor = self.workers
        killing: list[Deferred[int]] = []
        with progress(f"Adding {count:,} times; half-way, kill -9 of {victim.name}", count) as bar:

            def settled() -> None:
                bar.update(1)
                if not killing and tally.settled >= count // 2:
                    killing.append(deferToThread(self.broker.kill_worker, victim))

            calls = (((number, 1), number + 1) for number in range(count))
            # Some calls must be left to make when the worker is killed.
            await call_all(tally, calculator.add, calls, min(self.options.in_flight, max(1, count // 4)), settled)
        check(tally)
        self.tell_of_the_kill(await killing[0], tally, victim, survivor)

    def tell_of_the_kill(self, redelivered: int, tally: Tally, victim: TwistdProcess, survivor: TwistdProcess) -> None:
        """Make sure that it hit calls in flight."""
        if not redelivered:
            raise DemoFailed(f"{victim.name} had nothing to do when it was killed, so nothing was shown")
        if not survivor.running:
            raise ProcessFailed(f"{survivor.name} ended")
        self.findings.append(
            f"kill -9 of {victim.name}: {tally.answered:,} of {tally.calls:,} calls answered; the {redelivered} "
            f"that it had taken were redelivered to {survivor.name}"
        )

    def tally(self, method: str, calls: int) -> Tally:
        """A new line of the table."""
        self.tallies.append(Tally(method, calls))
        return self.tallies[-1]


def check(tally: Tally) -> None:
    """See that every call was answered, and right.

    :raises DemoFailed: not so.
    """
    if tally.answered != tally.calls:
        raise DemoFailed(
            f"{tally.method}: {tally.answered:,} of {tally.calls:,} calls were answered as they should be; "
            f"others: {'; '.join(tally.problems[:3])}"
        )


@contextmanager
def step(text: str) -> Iterator[list[str]]:
    """Print a line when the step begins; at its end, add the seconds and the remarks in the list."""
    click.echo(f"{text} ... ", nl=False)
    began = time.monotonic()
    remarks: list[str] = []
    try:
        yield remarks
        click.echo(", ".join([f"{time.monotonic() - began:.1f} s", *remarks]), nl=False)
    finally:
        click.echo()


def progress(label: str, length: int) -> Any:
    """A progress bar; just its label when the output is no terminal. It is drawn a hundred times at most."""
    seldom = max(1, length // 100)
    return click.progressbar(length=length, label=label, width=20, show_eta=False, update_min_steps=seldom)


def show_table(tallies: list[Tally]) -> None:
    """Print the calls of each method, and their rate."""
    row = "{:<18}{:>10}{:>10}{:>10}{:>10}".format
    click.echo(f"\n{row('method', 'calls', 'answered', 'seconds', 'calls/s')}")
    for each in tallies:
        numbers = f"{each.calls:,}", f"{each.answered:,}", f"{each.seconds:.2f}", f"{each.calls / each.seconds:,.0f}"
        click.echo(row(each.method, *numbers))


def show_logs(broker: Broker, workers: list[TwistdProcess]) -> None:
    """Print the ends of the logs of broker and workers to standard error."""
    logs = {broker.name: broker.log_tail(LOG_LINES)} | {
        worker.name: worker.output_tail(LOG_LINES) for worker in workers
    }
    for name, text in logs.items():
        click.echo(f"\n-- end of the log of {name}", err=True)
        click.echo(text, err=True)


@contextmanager
def running(rabbitmq: bool) -> Iterator[tuple[Broker, list[TwistdProcess]]]:
    """Start a broker and two workers, which end with the context. Their logs are shown when it fails."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="rpc-demo-", ignore_cleanup_errors=True)))
        broker = RabbitMQBroker() if rabbitmq else EmbeddedBroker()
        with step(f"Starting {broker.name} on a free port") as remarks:
            stack.enter_context(broker)
            remarks.append(f"port {broker.url.rpartition(':')[2]}")
        workers: list[TwistdProcess] = []
        try:
            with step(f"Starting two twistd workers, each with {len(SERVICES)} services") as remarks:
                workers.extend(stack.enter_context(start_worker(number, broker.url, folder)) for number in (1, 2))
                for worker in workers:
                    wait_until_serving(worker)
                remarks.append(f"processes {workers[0].pid} and {workers[1].pid}")
            yield broker, workers
        except Exception:
            show_logs(broker, workers)
            raise


def run_demo(options: Options, interruption: Interruption) -> Demo:
    """Start everything, take the steps, and end it."""
    with running(options.rabbitmq) as (broker, workers):
        demo = Demo(options, broker, workers)
        interruption.run(demo.run())
        with step(f"Stopping {workers[1].name}"):
            if not workers[1].stop():
                raise ProcessFailed(f"{workers[1].name} did not stop in good order")
        return demo


def run_watch(rabbitmq: bool, port: int, interruption: Interruption) -> None:
    """Start everything with the dashboard, and make calls until a signal comes."""
    with running(rabbitmq) as (broker, _):
        with step("Starting the dashboard"):
            dashboard = start_dashboard(broker.url, port)
        with dashboard:
            click.echo(f"\nOpen {address_of(dashboard)} in a browser. Calls go on until Ctrl-C.")
            with suppress(SystemExit):  # the signal is the usual end
                interruption.run(watch(broker.url))


@click.command(context_settings={"show_default": True})
@click.option("--lines", default=5000, type=click.IntRange(min=1), help="Lines of text to store, at most.")
@click.option("--calls", default=20000, type=click.IntRange(min=1000), help="Calls during which a worker is killed.")
@click.option("--in-flight", default=1000, type=click.IntRange(min=1), help="Calls that wait for answers at a time.")
@click.option("--timeout", default=30.0, type=click.FloatRange(min=0, min_open=True), help="Seconds for each call.")
@click.option("--rabbitmq", is_flag=True, help="Run on a private RabbitMQ node, as in production.")
@click.option("--watch", "watching", is_flag=True, help="Show the dashboard instead, while calls go on, until Ctrl-C.")
@click.option("--port", default=DEFAULT_PORT, type=click.IntRange(0, 65535), help="Of the dashboard; 0: a free one.")
def main(lines: int, calls: int, in_flight: int, timeout: float, rabbitmq: bool, watching: bool, port: int) -> None:
    """Show thousands of Thrift calls being answered, though one of two workers is killed: on the embedded broker."""
    began = time.monotonic()
    interruption = Interruption()
    try:
        if watching:
            run_watch(rabbitmq, port, interruption)
            click.echo("\nNothing is left running.")
            return
        demo = run_demo(Options(lines, calls, in_flight, timeout, rabbitmq), interruption)
    except Exception as error:
        click.echo(f"\nFAILED: {type(error).__name__}: {error}", err=True)
        sys.exit(1)
    show_table(demo.tallies)
    click.echo("\n" + "\n".join(demo.findings))
    click.echo(f"\nEverything held; nothing is left running. {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
