"""The program that decodes hostile messages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools.processes import PROJECT

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
