"""``scripts/fuzz``: searches for inputs that break a promise, one process for each harness.

atheris (libFuzzer for Python) chooses the inputs by the lines of code that they reach.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import attrs
import click

from tests.fuzz.harnesses import LARGEST_INPUT, NAMES, Harness

PROJECT: Final = Path(__file__).parents[2]
CORPUS: Final = Path(__file__).with_name("corpus")
FOLDER: Final = PROJECT / ".fuzz"
"""The inputs that were found, logs, and the inputs that broke a promise. Not committed."""

MOST_MEMORY: Final = 500
"""MiB of a process, at most. It takes some 100 without any input."""

LONGEST_INPUT: Final = 60
"""Seconds of an input, at most, on a busy machine. The harness has the limit in CPU time."""

GRACE: Final = 120
"""Seconds after its time, after which a process is killed that has not ended by itself."""

NO_LIMIT: Final = -1

SKIPPED: Final = 3
"""The exit status without a fuzzer."""

_END: Final = re.compile(r"=== Uncaught Python exception: ===|ERROR: libFuzzer:")
"""The beginning of the fuzzer's line about a finding."""


@attrs.frozen
class Bounds:
    """The search of one harness ends at the first of these bounds.

    :ivar executions: inputs.
    """

    seconds: int
    executions: int = NO_LIMIT


@attrs.frozen
class Outcome:
    """The end of a search.

    :ivar executions: inputs that were tried; 0 when the search ended with a finding.
    :ivar finding: why it ended early, and where the input is; empty when no input broke the promise.
    """

    name: str
    executions: int
    seconds: float
    finding: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether no input broke the promise."""
        return not self.finding

    def __str__(self) -> str:
        line = f"{self.name:<14} {self.executions:>9,} executions {self.seconds:6.1f} s"
        return f"{line}  no finding" if self.is_clean else f"{line}  FINDING\n{self.finding}"


class Search:
    """The search of one harness, in a process of its own."""

    def __init__(self, harness: Harness, bounds: Bounds, folder: Path) -> None:
        self._harness = harness
        self._bounds = bounds
        self._folder = folder / harness.name
        self._log = self._folder / "log"
        (self._folder / "corpus").mkdir(parents=True, exist_ok=True)
        self._earlier = self._inputs()
        self._began = time.monotonic()
        # Forked: the modules were imported and instrumented once, which takes as long as the whole search of a test.
        self._process: BaseProcess = multiprocessing.get_context("fork").Process(target=self._run, daemon=True)
        self._process.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended. A process that does not end by itself is killed."""
        if time.monotonic() - self._began > self._bounds.seconds + GRACE:
            self._process.kill()
        return self._process.is_alive()

    def outcome(self) -> Outcome:
        """Wait for its end, and return it."""
        self._process.join()
        took = time.monotonic() - self._began
        text = self._log.read_text("utf-8", "replace")
        tried = re.search(r"^stat::number_of_executed_units: (\d+)", text, re.MULTILINE)
        if self._process.exitcode == 0 and tried:
            return Outcome(self._harness.name, int(tried[1]), took)
        told = _END.search(text)
        inputs = ", ".join(sorted(path for path, _ in self._inputs() - self._earlier))
        return Outcome(
            self._harness.name,
            0,
            took,
            f"{text[told.start() if told else -2000 :].rstrip()}\n"
            f"the process ended with status {self._process.exitcode}; the input: {inputs or 'unknown'}\n"
            f"copied to {CORPUS / self._harness.name}, it is played by tests/unit/test_fuzz_corpus.py",
        )

    def _inputs(self) -> set[tuple[str, int]]:
        """Return the inputs that broke the promise: path, and time in nanoseconds at which the file was written."""
        files = (path for path in self._folder.iterdir() if path.is_file() and path != self._log)
        return {(str(path), path.stat().st_mtime_ns) for path in files}

    def _run(self) -> None:
        """Search, and end the process; in the child."""
        import atheris

        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(log, 1)
        os.dup2(log, 2)
        options = {
            "runs": self._bounds.executions,
            "max_total_time": self._bounds.seconds,
            "max_len": LARGEST_INPUT,
            "timeout": LONGEST_INPUT,
            "rss_limit_mb": MOST_MEMORY,
            "artifact_prefix": f"{self._folder}/",
            "print_final_stats": 1,
        }
        flags = [f"-{name}={value}" for name, value in options.items()]

        def one(data: bytes) -> None:
            try:
                self._harness.one(data)
            except BaseException:
                # The fuzzer itself writes only inputs that take too long, or too much memory.
                (self._folder / f"finding-{sha256(data).hexdigest()[:12]}").write_bytes(data)
                raise

        corpora = filter(Path.is_dir, (self._folder / "corpus", CORPUS / self._harness.name))
        atheris.Setup(["fuzz", *flags, *map(str, corpora)], one)
        atheris.Fuzz()


def search(
    harnesses: Sequence[Harness], bounds: Bounds, at_a_time: int = 1, folder: Path = FOLDER
) -> Iterator[Outcome]:
    """Search for inputs that break a promise; yield each outcome at its end.

    :param bounds: of each harness.
    :param at_a_time: how many processes run at the same time.
    :param folder: for the inputs that were found.
    """
    waiting = list(harnesses)
    running: list[Search] = []
    while waiting or running:
        while waiting and len(running) < at_a_time:
            running.append(Search(waiting.pop(0), bounds, folder))
        time.sleep(0.05)
        for ended in [one for one in running if not one.is_running]:
            running.remove(ended)
            yield ended.outcome()


def instrumented(names: Sequence[str]) -> list[Harness] | None:
    """Import harnesses so that the fuzzer sees which code of the project an input reaches.

    :return: ``None`` without a fuzzer.
    """
    try:
        import atheris
    except ImportError:
        return None
    with atheris.instrument_imports(include=["rpc"], enable_loader_override=False):
        return [Harness.of(name) for name in names]


@click.command()
@click.argument("names", metavar="[HARNESS]...", nargs=-1)
@click.option("--seconds", type=click.IntRange(1), default=60, show_default=True, help="for all harnesses together")
@click.option("--executions", type=int, default=NO_LIMIT, help="inputs of each harness, at most")
@click.option("--at-a-time", type=click.IntRange(1), default=1, show_default=True, help="processes")
def main(names: tuple[str, ...], seconds: int, executions: int, at_a_time: int) -> None:
    """Search for inputs that break a promise; exit with status 1 when one was found, and with 3 without a fuzzer."""
    wanted = names or NAMES
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}: the harnesses are {', '.join(NAMES)}")
    harnesses = instrumented(wanted)
    if harnesses is None:
        click.echo("atheris is not installed; it has no wheels for some Pythons and machines")
        sys.exit(SKIPPED)
    # The fuzzer takes up to a second more than it is told.
    bounds = Bounds(max(1, seconds * at_a_time // len(wanted) - 1), executions)
    is_clean = True
    for outcome in search(harnesses, bounds, at_a_time):
        click.echo(outcome)
        is_clean = is_clean and outcome.is_clean
    sys.exit(not is_clean)


if __name__ == "__main__":
    main()
