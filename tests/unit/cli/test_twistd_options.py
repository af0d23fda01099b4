"""The options of twistd that the plugins heed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli import twistd_options
from rpc.cli.twistd_options import check_user, in_rundir
from rpc.errors import ConfigurationError

NOBODY = 65534
SYSTEM_PYTHON = shutil.which("python3", path="/usr/bin:/bin")


def options(**given: Any) -> Any:
    """The options of a plugin, below those of twistd."""
    made: Any = usage.Options()
    made.parent = {"rundir": ".", "uid": None, "gid": None, **given}
    return made


class RundirTests(SynchronousTestCase):
    """in_rundir."""

    def fail_in(self, rundir: str, expected: str) -> None:
        """Fail in a folder, which must be the expected one."""
        with in_rundir(options(rundir=rundir)):
            self.assertEqual(os.getcwd(), expected)
            raise ZeroDivisionError

    def test_works_in_the_folder_and_comes_back(self) -> None:
        """Also after an error. Without twistd, and with its default, the folder is the present one."""
        folder, before = Path(self.mktemp()).absolute(), os.getcwd()
        folder.mkdir()
        for rundir, inside in ((str(folder), str(folder)), (".", before)):
            self.assertRaises(ZeroDivisionError, self.fail_in, rundir, inside)
            self.assertEqual(os.getcwd(), before)
        with in_rundir(usage.Options()):
            self.assertEqual(os.getcwd(), before)

    def test_names_a_folder_that_cannot_be_entered(self) -> None:
        """One that is missing, and a file."""
        for rundir, why in (("/nowhere", "No such file or directory"), (__file__, "Not a directory")):
            with self.assertRaises(ConfigurationError) as refused:
                in_rundir(options(rundir=rundir)).__enter__()
            self.assertEqual(str(refused.exception), f"--rundir={rundir}: {why}")


class UserTests(SynchronousTestCase):
    """check_user."""

    def test_asks_nothing_of_the_present_user(self) -> None:
        """Nor without --uid, nor without twistd."""
        self.patch(sys, "executable", "/nowhere/python")
        for given in (options(), options(uid=os.getuid()), usage.Options()):
            check_user(given, ["/nowhere/service.py"])

    def test_tries_as_the_other_user(self) -> None:
        """Files that the user may read, and others. The error has the last line of Python's."""
        if os.getuid() or SYSTEM_PYTHON is None:
            self.skipTest("only root can change the user, and each user must be able to run a Python")
        self.patch(sys, "executable", SYSTEM_PYTHON)
        self.patch(twistd_options, "CHECK", "import sys\nfor path in sys.argv[1:]: open(path).close()")
        for gid in (None, NOBODY):
            check_user(options(uid=NOBODY, gid=gid), ["/etc/passwd"])
            error = self.assertRaises(ConfigurationError, check_user, options(uid=NOBODY, gid=gid), ["/etc/shadow"])
            self.assertIn("PermissionError: [Errno 13] Permission denied: '/etc/shadow'", str(error))
        error = self.assertRaises(ConfigurationError, check_user, options(uid=12345, gid=NOBODY), ["/etc/shadow"])
        self.assertIn("--uid: user 12345 cannot run this program with", str(error))
