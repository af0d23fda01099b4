"""The extras: without them the rest works, and the features that need them name the missing extra."""

from __future__ import annotations

import subprocess
import sys

import pytest
from twisted.trial.unittest import SynchronousTestCase

pytestmark = pytest.mark.slow

WITHOUT = """
import sys
for name in ("prometheus_client", "opentelemetry"):
    sys.modules[name] = None  # as if it were not installed
"""

IMPORT_ALL = """
import rpc, rpc.aio, rpc.blocking, rpc.testing, rpc.access_log, rpc.observers
import rpc.cli.main, rpc.cli.serve, rpc.cli.worker
"""


def run(program: str) -> str:
    """Run a program in another process, and return its output."""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


class ExtraTests(SynchronousTestCase):
    """In a process of its own, since modules stay imported."""

    def test_the_package_imports_no_extra(self) -> None:
        """Also where they are installed: they take time and memory."""
        found = run(
            IMPORT_ALL + "import sys; print([each for each in ('prometheus_client', 'opentelemetry') "
            "if each in sys.modules])"
        )
        self.assertEqual(found, "[]\n")

    def test_a_missing_extra_is_named(self) -> None:
        """With the command that installs it."""
        self.assertEqual(run(WITHOUT + IMPORT_ALL), "")
        for module, extra in (("rpc.metrics", "metrics"), ("rpc.tracing", "tracing")):
            last = run(f"{WITHOUT}\nimport {module}").strip().splitlines()[-1]
            self.assertIn(f"ImportError: {module} needs ", last)
            self.assertTrue(last.endswith(f"pip install 'thrift-amqp-rpc[{extra}]'"), last)
