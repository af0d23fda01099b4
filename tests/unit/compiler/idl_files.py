"""IDL written in a test, compiled by the real Thrift compiler, and used by another Python process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rpc.compiler import Compilation, compile_idl, install
from rpc.errors import CompileError

PROJECT = Path(__file__).parents[3]


class IDLTestCase(SynchronousTestCase):
    """A test with a folder of its own; ``self.idl`` is the folder of its IDL files."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="idl-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.idl = self.folder / "idl"

    def write(self, **files: str) -> None:
        """Write IDL files: the text by name, ``__`` for ``/``, without ``.thrift``."""
        for name, text in files.items():
            path = self.idl / (name.replace("__", "/") + ".thrift")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")

    def compiled(self) -> Compilation:
        return compile_idl([self.idl])

    def refusal(self) -> str:
        """Return the message with which the IDL is refused, without the path of the folder."""
        error = self.assertRaises(CompileError, self.compiled)
        return str(error).replace(f"{self.idl}/", "")

    def run_with_stubs(self, program: str, package: str = "stubs") -> str:
        """Compile into a package and run a program in another folder that can import it; returns its output."""
        install(self.folder / "lib" / package, self.compiled().files)
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=elsewhere,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder / "lib"), str(PROJECT)])},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.strip()
