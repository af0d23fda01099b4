"""The rules for values hold where Thrift was installed without its C extension."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]

RUN = """
import sys, unittest
sys.modules["thrift.protocol.fastbinary"] = None  # an import of it fails
from rpc.envelope.fast_binary import AVAILABLE
assert not AVAILABLE
from tests.unit import test_invalid_text, test_plain_value_rules
tests = [unittest.defaultTestLoader.loadTestsFromModule(each) for each in (test_plain_value_rules, test_invalid_text)]
result = unittest.TextTestRunner(verbosity=0).run(unittest.TestSuite(tests))
sys.exit(not result.wasSuccessful() or not result.testsRun)
"""


class WithoutExtensionTests(SynchronousTestCase):
    """The tests of the rules, in a process without the extension."""

    def test_all_protocols_follow_the_rules(self) -> None:
        run = subprocess.run([sys.executable, "-c", RUN], cwd=PROJECT, capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr[-3000:])
