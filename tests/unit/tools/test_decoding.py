"""The program that decodes hostile messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tools.decoding.__main__ import _largest
from tools.decoding.ends import Ends
from tools.processes import PROJECT

pytestmark = pytest.mark.slow

TWO_MADE = """
from rpc.compiler import driver
from tools.decoding.ends import Ends
Ends(), Ends(5)
driver.find = lambda *_: exit("compiled again")
print(Ends().decode("worker", "binary", b""))
"""


class EndsTests(SynchronousTestCase):
    """Worker and client of the shapes."""

    def test_their_service_is_compiled_once_and_leaves_no_files(self) -> None:
        """In a process with a folder of its own for temporary files."""
        folder = Path(self.mktemp())
        folder.mkdir()
        ended = subprocess.run(
            [sys.executable, "-c", TWO_MADE],
            cwd=PROJECT,
            env={**os.environ, "TMPDIR": str(folder.absolute())},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertIn("not a Thrift message", ended.stdout)
        self.assertEqual(list(folder.iterdir()), [])


class LargestTests(SynchronousTestCase):
    """The search for the largest message that is accepted."""

    def search(self, *, most: int = 10_000, fault: Callable[[], object] | None = None) -> int:
        """Return the size that is found when more bytes than `most` are refused."""

        class Decoder(Ends):
            def __init__(self) -> None:
                """It needs no service."""

            def decode(self, end: str, protocol: str, body: bytes) -> str:
                if fault is not None:
                    fault()
                return "too large" if len(body) > most else ""

        return _largest(Decoder(), "worker", "binary", lambda size: {"worker": b"a" * size})

    def test_finds_the_size_within_four_percent(self) -> None:
        """Sizes are whole powers of 1.04, in thousand bytes."""
        for most in (1_000, 10_000, 1_000_000):
            self.assertLessEqual(self.search(most=most), most)
            self.assertGreater(self.search(most=most) * 1.05, most)

    def test_a_search_that_fails_or_is_killed_finds_nothing(self) -> None:
        """A message that takes too much memory is not taken for one that is accepted."""

        def fail() -> None:
            raise MemoryError

        for fault, status in ((fail, 255), (lambda: os.kill(os.getpid(), signal.SIGKILL), -9)):
            error = self.assertRaises(RuntimeError, self.search, fault=fault)
            self.assertIn(f"status {status}", str(error))
