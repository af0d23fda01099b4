"""A process of Node.js that plays cases, as a client and as a worker: ``node/peer.js``."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import weakref
from contextlib import suppress
from functools import cache
from typing import IO, Any

from rpc.compiler import driver
from tests.cross_test.programs import FOLDER, SERVICES
from tools import node_packages
from tools.processes import PROJECT, launch

EXAMPLE = PROJECT / "examples" / "node"

OWN_LIBRARY = (0, 23)
"""The oldest compiler whose code the library of the example cannot run."""


@cache
def missing() -> str:
    """Return why this machine cannot run the peer; empty if it can."""
    compiler = driver.find()
    if compiler.version >= OWN_LIBRARY:
        return f"what Thrift {compiler.release} writes needs a newer library than package.json names"
    try:
        node_packages.install(EXAMPLE)
    except node_packages.NodeMissing as problem:
        return str(problem)
    return ""


@cache
def _stubs() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="node-stubs-")
    for program in SERVICES:
        command = ["thrift", "--gen", "js:node,es6", "-out", folder.name, str(FOLDER / f"{program}.thrift")]
        subprocess.run(command, check=True, capture_output=True)
    return folder


def stubs_folder() -> str:
    """Compile the IDL for Node.js, into a folder that lasts as long as this process."""
    return _stubs().name


class NodePeer:
    """The process. Its methods block, so a thread calls them."""

    def __init__(self, url: str | None = None) -> None:
        """:param url: of the broker; ``None``: it calls through a gateway."""
        self._log = tempfile.TemporaryFile("w+b")  # noqa: SIM115
        self._process = launch(
            ["node", str(FOLDER / "node" / "peer.js"), str(EXAMPLE), stubs_folder(), *([] if url is None else [url])],
            folder=PROJECT,
            environment={**os.environ, "NODE_PATH": str(EXAMPLE / "node_modules")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._kill = weakref.finalize(self, self._process.kill)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin: IO[bytes] = self._process.stdin
        self._stdout: IO[bytes] = open(self._process.stdout.fileno(), "rb", closefd=False)  # noqa: SIM115

    def ask(self, command: str, **rest: Any) -> Any:
        """Send a command, and return its answer."""
        with suppress(BrokenPipeError):
            self._stdin.write(json.dumps({"command": command, **rest}).encode() + b"\n")
        line = self._stdout.readline()
        if not line:
            self._log.seek(0)
            raise AssertionError(f"Node.js ended: {self._log.read().decode(errors='replace')}")
        return json.loads(line)

    def close(self) -> None:
        """End it, and return when it has ended."""
        self._stdin.close()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
        self._kill.detach()
