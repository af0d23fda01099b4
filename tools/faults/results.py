"""The observations, as JSON from which the page can be made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

from tools.faults.peers import PeerResult
from tools.faults.scenario import Result


@attrs.frozen
class Seen:
    """A result, when it was seen, and of which state of the project.

    :ivar form: ``"quick"`` or ``"full"``.
    """

    result: Result
    taken: str
    form: str


@attrs.define
class Run:
    """The observations on one version of RabbitMQ.

    :ivar versions: of what took part, by name.
    :ivar seen: the observations by the scenario's name.
    """

    versions: dict[str, str] = attrs.field(factory=dict)
    seen: dict[str, Seen] = attrs.field(factory=dict)


@attrs.define
class Results:
    """Everything that the page tells.

    :ivar runs: by the version of RabbitMQ, such as ``3.10``.
    """

    machine: str = ""
    runs: dict[str, Run] = attrs.field(factory=dict)
    peers: dict[str, PeerResult] = attrs.field(factory=dict)
    peers_taken: str = ""

    def write(self, file: Path) -> None:
        """Write all of it."""
        file.write_text(json.dumps(attrs.asdict(self), indent=1) + "\n")


def read(file: Path) -> Results:
    """Read the file of :meth:`Results.write`."""
    found: dict[str, Any] = json.loads(file.read_text())
    return Results(
        machine=found["machine"],
        runs={version: _run(record) for version, record in found["runs"].items()},
        peers={name: PeerResult(**record) for name, record in found["peers"].items()},
        peers_taken=found["peers_taken"],
    )


def _run(record: dict[str, Any]) -> Run:
    return Run(record["versions"], {name: _seen(each) for name, each in record["seen"].items()})


def _seen(record: dict[str, Any]) -> Seen:
    before, after = record["result"].pop("descriptors")
    return Seen(Result(**record["result"], descriptors=(before, after)), record["taken"], record["form"])
