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
class Results:
    """Everything that the page tells."""

    versions: dict[str, str] = attrs.field(factory=dict)
    machine: str = ""
    seen: dict[str, Seen] = attrs.field(factory=dict)
    peers: dict[str, PeerResult] = attrs.field(factory=dict)
    peers_taken: str = ""

    def write(self, file: Path) -> None:
        """Write all of it."""
        file.write_text(json.dumps(attrs.asdict(self), indent=1) + "\n")


def read(file: Path) -> Results:
    """Read the file of :meth:`Results.write`."""
    found: dict[str, Any] = json.loads(file.read_text())
    return Results(
        versions=found["versions"],
        machine=found["machine"],
        seen={name: _seen(record) for name, record in found["seen"].items()},
        peers={name: PeerResult(**record) for name, record in found["peers"].items()},
        peers_taken=found["peers_taken"],
    )


def _seen(record: dict[str, Any]) -> Seen:
    before, after = record["result"].pop("descriptors")
    return Seen(Result(**record["result"], descriptors=(before, after)), record["taken"], record["form"])
