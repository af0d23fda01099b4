"""Standard output that cannot be written to, in processes: Python's buffer is flushed at their end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

PROJECT = Path(__file__).parents[3]
COMMAND = Path(sys.executable).with_name("thrift-rpc")
BROKEN_PIPE = 141


def run_python(program: str, output: int) -> tuple[int, str]:
    """Run a program with a standard output; returns its exit status and its standard error."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, stdout=output, stderr=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stderr


class StandardOutputTests(SynchronousTestCase):
    """The error tells of work that was done; a traceback never appears."""

    def full_disk(self) -> int:
        descriptor = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, descriptor)
        return descriptor

    def closed_pipe(self) -> int:
        reader, writer = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, writer)
        return writer

    def command(self, done: str) -> str:
        return (
            f"import click; from rpc.cli.standard_output import say\nclick.command()(lambda: say('result', {done!r}))()"
        )

    def test_reports_the_work_that_was_done_before_the_disk_was_full(self) -> None:
        """The exit status is 1."""
        self.assertEqual(
            run_python(self.command("S.f was executed"), self.full_disk()),
            (1, "Error: S.f was executed; standard output cannot be written: No space left on device\n"),
        )

    def test_reports_a_full_disk_when_no_work_was_done(self) -> None:
        """The reason is the whole message."""
        self.assertEqual(
            run_python(self.command(""), self.full_disk()),
            (1, "Error: standard output cannot be written: No space left on device\n"),
        )

    def test_reports_the_work_that_was_done_before_the_reader_left(self) -> None:
        """The exit status is that of SIGPIPE."""
        self.assertEqual(
            run_python(self.command("S.f was executed"), self.closed_pipe()),
            (BROKEN_PIPE, "Error: S.f was executed; standard output cannot be written: Broken pipe\n"),
        )

    def test_ends_silently_when_the_reader_left_and_no_work_was_done(self) -> None:
        """As other programs do in a pipeline."""
        self.assertEqual(run_python(self.command(""), self.closed_pipe()), (BROKEN_PIPE, ""))

    def test_reports_that_standard_output_was_closed(self) -> None:
        """Python then has no stream for it, and click writes nothing."""
        done = subprocess.run(
            ["sh", "-c", f'exec "{COMMAND}" call generated.calculator.Calculator >&-'],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        expected = "Error: standard output cannot be written: Bad file descriptor\n"
        self.assertEqual((done.returncode, done.stderr), (1, expected))

    @pytest.mark.slow
    def test_help_fails_like_any_output(self) -> None:
        """The help of the group, and that of a verb."""
        for arguments in (["--help"], ["call", "--help"], ["dead", "list", "-h"]):
            program = f"from rpc.cli.main import main\nmain({arguments!r})"
            expected = "Error: standard output cannot be written: No space left on device\n"
            self.assertEqual(run_python(program, self.full_disk()), (1, expected))
            self.assertEqual(run_python(program, self.closed_pipe()), (BROKEN_PIPE, ""))

    @pytest.mark.slow
    def test_compile_reports_that_the_files_were_written(self) -> None:
        """The output is complete."""
        out = str(Path(self.mktemp()).absolute())
        done = subprocess.run(
            [str(COMMAND), "compile", "idl", "--out", out],
            cwd=PROJECT,
            stdout=self.full_disk(),
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^Error: .*: \d+ files, \d+ written, 0 removed; standard output cannot be")
        self.assertTrue(Path(out, "idl.json").exists())
