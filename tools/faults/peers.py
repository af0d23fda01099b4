"""The same fault for others: the broker is killed with ``kill -9`` and started again during 300 calls."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs

from tools.bench.catalogue import BY_NAME, Peer
from tools.bench.environments import install
from tools.bench.processes import PeerProcess
from tools.nodes.rabbitmq import RabbitMQNode
from tools.processes import PROJECT

PROGRAMS = {
    "ours": ("call_twisted.py", "ours"),
    "oslo_messaging": ("call_oslo_messaging.py", ""),
    "aio_pika": ("call_aio_pika.py", ""),
    "txamqp_thrift": ("call_twisted.py", "txamqp_thrift"),
}
"""Each peer's client program here, and its last word. Its server is the benchmark's."""

CALLS, RATE = 300, 20.0
KILLED_AFTER = 80
LIMIT = 60.0
"""Seconds after the last call began; a call that has not returned by then counts as lost."""


@attrs.frozen
class PeerResult:
    """The outcomes of a peer's calls.

    :ivar never: calls that neither returned nor failed.
    :ivar slowest: seconds, of those that did.
    :ivar problem: the first error, or why there are no figures.
    """

    peer: str
    title: str
    versions: str
    calls: int = 0
    answered: int = 0
    failed: int = 0
    wrong: int = 0
    never: int = 0
    slowest: float = 0.0
    problem: str = ""


def kill_test(name: str, cache: Path, calls: int = CALLS) -> PeerResult:
    """Put one peer through it, with a broker of its own. Blocks; a peer that fails is told, and raises nothing."""
    peer = BY_NAME[name]
    try:
        environment = install(peer, cache)
    except Exception as error:
        return PeerResult(name, peer.title, "", problem=f"cannot be installed: {error}")
    shown = ", ".join(f"{each} {environment.versions.get(each, '?')}" for each in peer.shown)
    try:
        figures = _run(peer, environment.command, environment.variables, calls)
    except Exception as error:
        return PeerResult(name, peer.title, shown, problem=f"{type(error).__name__}: {error}")
    return PeerResult(name, peer.title, shown, **figures)


def _run(peer: Peer, command: tuple[str, ...], variables: dict[str, str], calls: int) -> dict[str, Any]:
    here = PROJECT / "tools" / "faults" / "programs"
    program, word = PROGRAMS[peer.name]
    with TemporaryDirectory(prefix="faults-peer-") as folder, RabbitMQNode() as node:
        server_folder, client_folder = Path(folder, "server"), Path(folder, "client")
        server_folder.mkdir()
        client_folder.mkdir()
        serve = [*command, "server", "--broker", node.url]
        call = [command[0], str(here / program), node.url, str(calls), str(RATE), str(LIMIT), word]
        with PeerProcess(f"server of {peer.title}", serve, variables, server_folder) as server:
            server.wait_for(peer.ready)
            with PeerProcess(f"client of {peer.title}", call, variables, client_folder) as client:
                client.wait_for("connected")
                client.wait_for(f"begun {KILLED_AFTER}\n")
                node.kill()
                node.start()
                return _figures(client, calls / RATE + LIMIT + 30)


def _figures(client: PeerProcess, timeout: float) -> dict[str, Any]:
    import json

    client.wait_for("}\n", timeout=timeout)
    line = next(line for line in client.output().splitlines() if line.startswith("{"))
    found: dict[str, Any] = json.loads(line)
    return found
