"""Clients and the README's programs are typed: for mypy without a plugin, and for pyright."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.documents import ROOT, blocks

CALLER = """
from types import ModuleType
from typing import Any

from typing_extensions import assert_type
from twisted.internet.defer import Deferred

import asyncio

import rpc
import rpc.aio
import rpc.blocking
from generated.calculator import Calculator
from generated.calculator.ttypes import Work
from rpc.testing import Harness

async def right(connection: rpc.Connection, harness: Harness, module: ModuleType) -> None:
    client = connection.client(Calculator)
    assert_type(client, Calculator.Client)
    assert_type(connection.client(Calculator.Client, timeout=1.0), Calculator.Client)
    assert_type(harness.client(Calculator, priority=3), Calculator.Client)
    assert_type(rpc.with_options(client, protocol="json"), Calculator.Client)
    assert_type(client.echo(Work()), Deferred[Work])
    assert_type(await client.add(1, num2=2), int)
    assert_type((await rpc.with_reply(client.blob, b"")).value, bytes)
    anything: Any = connection.client(module)
    await anything.whatever()
    described: Any = connection.client("Calculator", timeout=1.0)
    assert_type(await connection.reflect("Calculator"), ModuleType)

async def right_in_asyncio(url: str) -> None:
    async with rpc.aio.connect(url) as connection:
        client = connection.client(Calculator)
        assert_type(await client.add(1, num2=2), int)
        sums: tuple[int, int] = await asyncio.gather(client.add(1, 2), client.add(3, 4))
        assert_type((await rpc.aio.with_reply(client.blob, b"")).value, bytes)
        await rpc.aio.with_options(client, timeout=1.0).ping()
        task: asyncio.Future[Work] = client.echo(Work())

def right_in_threads(url: str) -> None:
    with rpc.blocking.connect(url) as connection:
        client = connection.client(Calculator, priority=3)
        assert_type(client.add(1, num2=2), int)
        assert_type(client.getStruct(1).value, str | None)
        assert_type(rpc.blocking.with_reply(client.blob, b"").value, bytes)
        rpc.blocking.with_options(client, timeout=1.0).ping()

async def wrong(connection: rpc.Connection, harness: Harness) -> None:
    await connection.client(Calculator).add("one", 2)
    await connection.client(Calculator).subtract(1, 2)
    text: str = await harness.client(Calculator).add(1, 2)
    connection.client(Calculator, timeuot=1.0)
    connection.client(5)
    await (await rpc.aio.connect()).client(Calculator).add("one", 2)
    rpc.blocking.connect().client(Calculator).subtract(1, 2)
"""

FIRST_MISTAKE = CALLER[: CALLER.index("    await connection.client(Calculator).add")].count("\n") + 1
MISTAKES = [*range(FIRST_MISTAKE, FIRST_MISTAKE + 7)]


class TypingTests(SynchronousTestCase):
    """The type checkers run as a user runs them, in a folder of the user's."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def run_program(self, *command: str) -> str:
        """Run a program of this environment in the folder; return its output."""
        program, *arguments = command
        done = subprocess.run(
            [str(Path(sys.executable).with_name(program)), *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        return done.stdout + done.stderr

    def mypy(self) -> list[tuple[str, int]]:
        """Return file and line of each error of ``mypy --strict``, which has no configuration."""
        (self.folder / "mypy.ini").write_text("[mypy]\n")
        said = self.run_program("mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache" / "users"), ".")
        found = re.findall(r"^(\S+?):(\d+): error: ", said, re.MULTILINE)
        self.assertTrue(found or "Success: no issues found" in said, said)
        return sorted({(name, int(line)) for name, line in found})

    def pyright(self) -> list[tuple[str, int]]:
        """Return file and line of each error of pyright, which has no configuration but its usual mode."""
        (self.folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard", "exclude": ["**/*.py[co]"]}')
        programs = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*.py*") if _is_ours(path))
        said = json.loads(self.run_program("basedpyright", "--outputjson", "--pythonpath", sys.executable, *programs))
        self.assertEqual(said["summary"]["filesAnalyzed"], len(programs))
        return sorted(
            {
                (str(Path(error["file"]).relative_to(self.folder.resolve())), error["range"]["start"]["line"] + 1)
                for error in said["generalDiagnostics"]
                if error["severity"] == "error"
            }
        )

    def test_a_client_has_the_types_of_its_stub(self) -> None:
        """Neither checker needs a plugin, or an annotation at the variable. Each mistake is found, and nothing else."""
        (self.folder / "caller.py").write_text(CALLER)
        (self.folder / "generated").symlink_to(ROOT / "generated", target_is_directory=True)
        mistakes = [("caller.py", line) for line in MISTAKES]
        self.assertEqual(self.mypy(), mistakes)
        self.assertEqual(self.pyright(), mistakes)

    def test_the_programs_of_the_readme_are_typed(self) -> None:
        """As they are on the page, with their stubs."""
        for block in blocks(ROOT / "README.md"):
            if block.file_name is not None:
                path = self.folder / block.file_name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
        self.assertIn("written", self.run_program("thrift-rpc", "compile", "idl/", "--out", "generated/"))
        self.assertEqual(self.mypy(), [])
        self.assertEqual(self.pyright(), [])


def _is_ours(path: Path) -> bool:
    """Whether pyright looks at a file. The Thrift compiler's modules have their types in a file beside them."""
    return path.suffix == ".pyi" or (path.suffix == ".py" and not path.with_suffix(".pyi").exists())
