"""The matrix: legs that are skipped or fail by name, the Pythons that are found, and the table."""

from __future__ import annotations

import os
import re
import sys
from configparser import ConfigParser
from functools import partial
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from tools.matrix import run
from tools.matrix.commands import NotMade
from tools.matrix.environments import Environment
from tools.matrix.legs import DEMO, STEPS, UNIT, Leg, Step, legs
from tools.matrix.pythons import MINORS, find_oldest_python, find_python
from tools.matrix.verdicts import Outcome, Verdict, table
from tools.nodes.debian import Failed, NotPossible
from tools.processes import PROJECT

PASSES = Step("demo", DEMO.title, ("sh", "-c", "echo it went well"))
FAILS = Step("unit", UNIT.title, ("sh", "-c", "echo the reason; echo 1 failed; exit 1"))


def found() -> Environment:
    """Return an environment without anything of its own."""
    return Environment("an environment", ())


def without_python() -> Environment:
    """Miss a requirement."""
    raise NotPossible("Python 3.99 is not on this machine")


def not_installed() -> Environment:
    """Fail in the making."""
    raise NotMade("pip: status 1\nno such release")


def no_folder() -> Environment:
    """Fail in another making."""
    raise Failed("debootstrap sid has failed: no such package")


class RunTests(SynchronousTestCase):
    """``scripts/test --matrix`` with legs of the test's own."""

    def setUp(self) -> None:
        self.patch(run, "FOLDER", Path(self.mktemp()))

    def run_legs(self, *chosen: Leg, arguments: tuple[str, ...] = ()) -> tuple[int, str]:
        """Return the exit status and the output."""
        self.patch(run, "legs", lambda **_: chosen)
        ended = CliRunner().invoke(run.main, arguments)
        return ended.exit_code, ended.output

    def test_passes_with_a_leg_that_is_skipped_by_name(self) -> None:
        """The leg is in the table, with the requirement that is missing."""
        status, output = self.run_legs(Leg("a", found, (PASSES,)), Leg("b", without_python, (PASSES,)))
        self.assertEqual(status, 0)
        self.assertIn("a: demo: ok, 0.0 min: it went well", output)
        self.assertIn("b: skipped: Python 3.99 is not on this machine", output)
        self.assertIn("| b | skipped: Python 3.99 is not on this machine | – | – | – | – |", output)

    def test_fails_with_a_step_and_shows_its_output(self) -> None:
        """The later steps and legs run all the same."""
        status, output = self.run_legs(Leg("a", found, (FAILS, PASSES)), Leg("b", found, (PASSES,)))
        self.assertEqual(status, 1)
        self.assertIn("the reason\n1 failed", output)
        self.assertIn("| a | an environment | ok, 0.0 min | FAILED, 0.0 min | – | – |", output)
        self.assertIn("| b | an environment | ok, 0.0 min |", output)

    def test_fails_with_an_environment_that_cannot_be_made(self) -> None:
        """Only a missing requirement skips a leg."""
        for make, reason in ((not_installed, "no such release"), (no_folder, "no such package")):
            status, output = self.run_legs(Leg("a", make, (PASSES,)))
            self.assertEqual(status, 1)
            self.assertIn(reason, output)
            self.assertIn("| a | FAILED: could not be made |", output)

    def test_runs_chosen_legs_and_steps(self) -> None:
        """An unknown leg is a wrong command line."""
        ours = Leg("a", found, (FAILS, PASSES)), Leg("b", found, (FAILS,))
        self.assertEqual(self.run_legs(*ours, arguments=("--only", "a", "--step", "demo"))[0], 0)
        self.assertEqual(self.run_legs(*ours, arguments=("--list",)), (0, "a\nb\n"))
        status, output = self.run_legs(*ours, arguments=("--only", "c"))
        self.assertEqual(status, 2)
        self.assertIn("no leg c; there are a, b", output)

    def test_a_leg_runs_in_its_environment(self) -> None:
        """Its folders are first on the PATH, and variables of another Python are not there."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.patch(os, "environ", {**os.environ, "PYTHONPATH": "elsewhere"})
        step = Step("demo", DEMO.title, ("sh", "-c", 'echo "${PATH%%:*} ${PYTHONPATH-none} ${ENTERED-no}"'))
        for enter, entered in ((), "no"), (("env", "ENTERED=yes"), "yes"):
            _, output = self.run_legs(Leg("a", partial(Environment, "e", (folder,), enter), (step,)))
            self.assertIn(f"{folder} none {entered}\n", output)


class LegTests(SynchronousTestCase):
    """The legs that there are."""

    def test_leaves_out_what_the_machine_itself_has(self) -> None:
        """Its own Python and its own release's RabbitMQ: scripts/test covers them."""
        names = [leg.name for leg in legs(minor=11, release="bookworm")]
        self.assertEqual(
            names,
            [
                *("python-3.10", "python-3.12", "python-3.13", "python-3.14", "oldest-dependencies"),
                *("rabbitmq-trixie", "rabbitmq-sid", "python-sid"),
            ],
        )
        names = [leg.name for leg in legs(minor=13, release="trixie")]
        self.assertIn("python-3.11", names)
        self.assertIn("rabbitmq-bookworm", names)
        self.assertNotIn("rabbitmq-trixie", names)

    def test_the_package_names_the_pythons_of_the_matrix(self) -> None:
        """Its classifiers name no other, and pip installs it on none that is older."""
        settings = ConfigParser()
        settings.read(PROJECT / "setup.cfg")
        named = re.findall(r"Python :: (3\.\d+)", settings["metadata"]["classifiers"])
        self.assertEqual(named, [f"3.{minor}" for minor in MINORS])
        self.assertEqual(settings["options"]["python_requires"], f">=3.{MINORS[0]}")

    def test_each_step_has_a_column(self) -> None:
        """Names and titles are those of the table."""
        known = {(step.name, step.title) for step in STEPS}
        for leg in legs():
            self.assertLessEqual({(step.name, step.title) for step in leg.steps}, known)


class PythonTests(SynchronousTestCase):
    """The Pythons that are found."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.patch(
            os, "environ", {"PATH": f"{self.folder / 'shims'}:{self.folder / 'bin'}", "PYENV_ROOT": str(self.folder)}
        )

    def program(self, path: str, text: str) -> Path:
        """Write a program."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file

    def test_passes_over_commands_that_fail(self) -> None:
        """As pyenv's do for a version that is not chosen."""
        self.program("shims/python3.12", "exit 127")
        python = self.program("bin/python3.12", "echo 3.12.9")
        self.assertEqual((find_python(12).command, find_python(12).version), (str(python), "3.12.9"))

    def test_finds_the_versions_of_pyenv(self) -> None:
        """Although they are not on the PATH."""
        python = self.program("versions/3.13.0/bin/python3.13", "echo 3.13.0")
        self.assertEqual(find_python(13).command, str(python))

    def test_a_python_without_venv_is_none(self) -> None:
        """Debian has it in a package of its own."""
        self.program("bin/python3.10", "echo 'No module named venv' >&2; exit 1")
        error = self.assertRaises(NotPossible, find_python, 10)
        self.assertEqual(str(error), "Python 3.10 with its module venv is not on this machine")

    def test_finds_the_oldest(self) -> None:
        """Of those that the project supports."""
        self.assertRaises(NotPossible, find_oldest_python)
        self.program("bin/python3.13", "echo 3.13.0")
        self.program("bin/python3.9", "echo 3.9.0")
        self.assertEqual(find_oldest_python().version, "3.13.0")

    def test_this_python_is_found(self) -> None:
        """By its full version."""
        (self.folder / "bin").mkdir(parents=True)
        name = f"python3.{sys.version_info.minor}"
        (self.folder / "bin" / name).symlink_to(sys.executable)
        self.assertEqual(find_python(sys.version_info.minor).version, ".".join(map(str, sys.version_info[:3])))


class TableTests(SynchronousTestCase):
    """The table of a run."""

    def test_has_a_row_for_each_leg_and_a_column_for_each_step(self) -> None:
        """A step that a leg does not have is a dash."""
        verdicts = {"demo": Verdict(True, 30.0), "unit tests": Verdict(False, 90.0)}
        self.assertEqual(
            table([Outcome("a", "Python 3.12.1", verdicts=verdicts)]).splitlines(),
            [
                "| leg | environment | demo | unit tests | on the embedded broker | on RabbitMQ |",
                "|---|---|---|---|---|---|",
                "| a | Python 3.12.1 | ok, 0.5 min | FAILED, 1.5 min | – | – |",
            ],
        )
