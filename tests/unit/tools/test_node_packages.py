"""One process at a time installs the packages of a folder: ``npm ci`` deletes those that are there first."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools.node_packages import NodeMissing, install

NPM = f"""#!{sys.executable}
import fcntl, pathlib
with open("package-lock.json") as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pathlib.Path("node_modules").mkdir()
        pathlib.Path("node_modules/.package-lock.json").touch()
    else:
        raise SystemExit("another process could install, too")
"""


class InstallTests(SynchronousTestCase):
    """npm is a program that looks whether other processes have to wait."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "bin").mkdir(parents=True)
        self.program("node", "#!/bin/sh\n")
        self.lock = self.folder / "package-lock.json"
        self.lock.touch()
        self.patch(os, "environ", {**os.environ, "PATH": str(self.folder / "bin")})

    def program(self, name: str, text: str) -> None:
        """Write a program."""
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def test_other_processes_wait_until_npm_has_ended(self) -> None:
        self.program("npm", NPM)
        install(self.folder)
        self.assertTrue((self.folder / "node_modules/.package-lock.json").exists())
        with self.lock.open() as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_what_is_installed_is_not_installed_again(self) -> None:
        self.program("npm", NPM)
        install(self.folder)
        self.program("npm", "#!/bin/sh\nexit 1\n")
        install(self.folder)

    def test_says_why_npm_has_failed(self) -> None:
        self.program("npm", "#!/bin/sh\necho no network >&2; exit 1\n")
        error = self.assertRaises(NodeMissing, install, self.folder)
        self.assertIn("no network", str(error))
