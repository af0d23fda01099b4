"""The measurements, as values, and as JSON from which the report can be made again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

import attrs

from tools.bench.machine import Machine

Record = TypeVar("Record")

INSTALLATION = "installation"
"""The part of a run before those that are measured."""


@attrs.frozen
class Sample:
    """So many calls of one peer's client, so many in flight.

    :ivar seconds: from the first call to the last answer.
    :ivar client_cpu: seconds of processor time meanwhile; ``server_cpu`` and ``broker_cpu`` likewise, the last ``None``
        where there is no broker. A gateway counts for the server.
    """

    peer: str
    in_flight: int
    round: int
    calls: int
    seconds: float
    client_cpu: float
    server_cpu: float
    broker_cpu: float | None

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds


@attrs.frozen
class LatencySample:
    """Calls begun at a rate, without waiting for answers.

    :ivar rate: calls begun a second.
    :ivar answered: calls answered a second; below the rate for a peer that falls behind.
    :ivar percentiles: seconds from when a call was due to its answer.
    """

    peer: str
    rate: int
    round: int
    answered: float
    percentiles: dict[str, float]

    @property
    def kept_up(self) -> bool:
        """Whether answers came as fast as calls were begun, but for the calls in progress at the end."""
        return self.answered > 0.9 * self.rate


@attrs.frozen
class GrowthSample:
    """One point of how a cost grows.

    :ivar what: the quantity, a key of :data:`tools.bench.growth.GROWTHS`.
    :ivar at: how much work there was.
    :ivar value: the cost, or for rates its inverse, in the growth's unit.
    """

    what: str
    peer: str
    at: int
    round: int
    value: float


@attrs.frozen
class JamSample:
    """One process' way through the traffic jam.

    :ivar what: the messages: ``"calls"`` or ``"publishes"``.
    :ivar timeline: seconds after which each hundredth of the messages was through.
    """

    peer: str
    what: str
    round: int
    calls: int
    seconds: float
    timeline: list[float]


@attrs.frozen
class ProfileSample:
    """Processor time that a process of ours spent in one function.

    :ivar process: ``"client"`` or ``"worker"``.
    :ivar where: the function's file, from its distribution's folder on.
    :ivar microseconds: of a call.
    """

    process: str
    in_flight: int
    where: str
    function: str
    microseconds: float


@attrs.frozen
class Failure:
    """A peer that could not be measured: the part of the run, its task, and its last words."""

    peer: str
    part: str
    doing: str
    words: str


@attrs.define
class Results:
    """Everything that the report tells.

    :ivar samples: of libraries beside each other; ``callers``: of the ways to call.
    :ivar taken: when each part was measured, and of which state of the project.
    :ivar versions: of the software that all share; ``peer_versions``: of distributions, by the name of the peer's
        folder. They and the machine are those of the last run.
    """

    machine: Machine
    taken: dict[str, str] = attrs.field(factory=dict)
    versions: dict[str, str] = attrs.field(factory=dict)
    peer_versions: dict[str, dict[str, str]] = attrs.field(factory=dict)
    samples: list[Sample] = attrs.field(factory=list)
    callers: list[Sample] = attrs.field(factory=list)
    latencies: list[LatencySample] = attrs.field(factory=list)
    growth: list[GrowthSample] = attrs.field(factory=list)
    jam: list[JamSample] = attrs.field(factory=list)
    profile: list[ProfileSample] = attrs.field(factory=list)
    failures: list[Failure] = attrs.field(factory=list)

    def replace_failures(self, part: str, asked: Collection[str], failures: Iterable[Failure]) -> None:
        """Take over the `failures` of a run in which `part` was measured again.

        The failures of other parts stay. So do those at the installation of peers that are not among the run's: `asked`
        has the names of those that are.
        """
        stay = [each for each in self.failures if each.part not in (INSTALLATION, part)]
        stay += [each for each in self.failures if each.part == INSTALLATION and each.peer not in asked]
        self.failures = stay + [each for each in failures if each.part in (INSTALLATION, part)]

    def write(self, file: Path) -> None:
        """Write all of it, a record a line so that differences can be read."""
        lines = []
        for name, value in attrs.asdict(self).items():
            if isinstance(value, list):
                records = ",\n".join(f"  {json.dumps(record)}" for record in value)
                lines.append(f' "{name}": [\n{records}\n ]' if value else f' "{name}": []')
            else:
                lines.append(f' "{name}": {json.dumps(value, sort_keys=True)}')
        file.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read(file: Path) -> Results:
    """Read the file of :meth:`Results.write`."""
    found: dict[str, Any] = json.loads(file.read_text())
    return Results(
        machine=Machine(**found["machine"]),
        taken=found["taken"],
        versions=found["versions"],
        peer_versions=found["peer_versions"],
        samples=_records(Sample, found["samples"]),
        callers=_records(Sample, found.get("callers", ())),
        latencies=_records(LatencySample, found["latencies"]),
        growth=_records(GrowthSample, found["growth"]),
        jam=_records(JamSample, found["jam"]),
        profile=_records(ProfileSample, found.get("profile", ())),
        failures=_records(Failure, found["failures"]),
    )


def _records(kind: type[Record], rows: Iterable[dict[str, Any]]) -> list[Record]:
    return [kind(**row) for row in rows]
