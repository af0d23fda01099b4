"""Tests that are skipped on the embedded broker: its document lists them with the reasons."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests.support import BrokerTestCase

ROOT = Path(__file__).parents[2]
ROW = "| `{}` | {} |"


def reasons(owner: Any) -> Iterator[str]:
    """Return the reasons of a class's or a test's own marks ``rabbitmq_only``."""
    for mark in vars(owner).get("pytestmark", ()):
        if mark.name == "rabbitmq_only":
            yield mark.args[0]


def rabbitmq_only() -> Iterator[str]:
    """Yield the table's row of each such class and test."""
    for kind in ("integration", "services"):
        for path in sorted((ROOT / "tests" / kind).glob("test_*.py")):
            module = importlib.import_module(f"tests.{kind}.{path.stem}")
            for name, case in vars(module).items():
                if not (isinstance(case, type) and case.__module__ == module.__name__):
                    continue
                marked = [(f"{path.stem}.{name}", reason) for reason in reasons(case)]
                for method, function in vars(case).items():
                    if method.startswith("test_"):
                        marked += [(f"{path.stem}.{name}.{method}", reason) for reason in reasons(function)]
                assert not marked or issubclass(case, BrokerTestCase), f"{case} speaks to no broker that is chosen"
                for test, reason in marked:
                    yield ROW.format(test, reason)


class TwoBrokersTests(SynchronousTestCase):
    """``pytest --broker embedded``."""

    def test_the_document_lists_every_test_that_is_skipped(self) -> None:
        """The table of docs/broker.md has a row for each, with the reason of the mark, and no other rows."""
        section = (ROOT / "docs/broker.md").read_text("utf-8").partition("## Tests that need RabbitMQ\n")[2]
        rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]
        listed = sorted(rabbitmq_only())
        self.assertIn("test_amqp_connecting.TLSTests", "".join(listed))
        self.assertEqual(sorted(rows), listed)

    @pytest.mark.slow
    def test_skips_marked_tests_and_deselects_those_without_a_broker(self) -> None:
        """A marked test is skipped with its reason. A test that does not depend on the broker is not selected."""
        files = ("tests/integration/test_rabbitmq_node.py", "tests/unit/test_topology.py")
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "--broker", "embedded", "-q", "-rs", *files],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("it tests the node of RabbitMQ that the other tests use", run.stdout)
        self.assertRegex(run.stdout, r"(?m)^3 skipped, \d+ deselected in")
