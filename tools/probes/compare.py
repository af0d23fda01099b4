"""Compares a probe's observations of two brokers: ``python -m tools.probes.compare PROBE RABBITMQ EMBEDDED``.

Both are URLs. The embedded broker must have the ``--compatibility`` of the RabbitMQ.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Any

import attrs
import pika

from tools import node_packages
from tools.probes.known import KNOWN, Known

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parents[1]

LONGEST = 300.0
"""Seconds after which a probe is ended; the slowest one needs a tenth, most of it for a broker to hang up."""

PROBES = {
    "pika": (sys.executable, "-m", "tools.probes.pika_probe"),
    "py-amqp": (sys.executable, "-m", "tools.probes.py_amqp_probe"),
    "amqplib": ("node", str(FOLDER / "amqplib_probe.js")),
}
"""The command of each probe, less the broker's URL."""


class ProbeFailed(Exception):
    """A probe ended with an error, or not in time, or could not be run; the message says which."""


@attrs.frozen
class Difference:
    """A difference between two brokers; None where one of them has no such line."""

    first: str | None
    second: str | None

    def __str__(self) -> str:
        return f"- {self.first or '(nothing)'}\n+ {self.second or '(nothing)'}"


def transcript(probe: str, url: str, *scenarios: str) -> list[str]:
    """The lines that a probe prints of the broker at a URL.

    :raises ProbeFailed: it ended with an error, wrote to its standard error, or did not end in time.
    """
    command = [*PROBES[probe], url, *scenarios]
    try:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired as late:
        raise ProbeFailed(f"{probe} did not end within {LONGEST:g} s: {late.stdout!r}") from late
    if done.returncode or done.stderr:
        raise ProbeFailed(f"{probe} ended with status {done.returncode}: {done.stderr}")
    return done.stdout.splitlines()


def _install_amqplib() -> None:
    try:
        node_packages.install(FOLDER)
    except node_packages.NodeMissing as missing:
        raise ProbeFailed(str(missing)) from missing


def transcripts(probe: str, *urls: str) -> list[list[str]]:
    """The lines that a probe prints of each of some brokers, which are probed at the same time."""
    if probe == "amqplib":
        _install_amqplib()  # before the threads: two installations in one folder delete each other's files
    with ThreadPoolExecutor(len(urls)) as threads:
        return list(threads.map(lambda url: transcript(probe, url), urls))


def differences(first: list[str], second: list[str]) -> Iterator[Difference]:
    """The differences, scenario by scenario, in the order of the first."""
    of_first, of_second = _by_scenario(first), _by_scenario(second)
    for scenario in of_first | of_second:
        a, b = of_first.get(scenario, []), of_second.get(scenario, [])
        for kind, start, end, other_start, other_end in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
            if kind != "equal":
                for lines in zip_longest(a[start:end], b[other_start:other_end]):
                    yield Difference(*lines)


def _by_scenario(lines: list[str]) -> dict[str, list[str]]:
    scenarios: dict[str, list[str]] = {}
    for line in lines:
        scenarios.setdefault(line.partition(":")[0], []).append(line)
    return scenarios


COMPARED = ((3, 10), (4, 0))
"""The versions of RabbitMQ whose differences are known."""


def version_of(url: str) -> tuple[int, int]:
    """Major and minor version of the RabbitMQ at a URL."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    told: Any = connection._impl.server_properties  # the only place where pika has them
    connection.close()
    major, minor, *_ = told["version"].split(".")
    return int(major), int(minor)


def not_compared(version: tuple[int, int]) -> str | None:
    """Return that the differences of a version are not known; ``None`` when they are."""
    if version in COMPARED:
        return None
    known = " and ".join(map(_shown, COMPARED))
    return f"the differences of RabbitMQ {_shown(version)} are not known: the embedded broker is compared with {known}"


def _shown(version: tuple[int, int]) -> str:
    return "{}.{}".format(*version)


def judge(probe: str, version: int, found: list[Difference]) -> tuple[list[Difference], list[Known]]:
    """The differences that nothing explains, and the explanations of this probe that explain nothing any more.

    :param version: of the RabbitMQ.
    """
    candidates = [known for known in KNOWN if known.probe == probe and version in known.versions]
    used = set()
    unexplained = []
    for difference in found:
        explanation = next((known for known in candidates if known.explains(difference.first, difference.second)), None)
        if explanation is None:
            unexplained.append(difference)
        else:
            used.add(explanation)
    return unexplained, [known for known in candidates if known not in used]


def main(probe: str, rabbitmq: str, embedded: str) -> int:
    """Print the differences without explanation, then explanations without difference; 1 when there is any.

    Those of another version of RabbitMQ are explained as those of the known one of its major version.
    """
    version = version_of(rabbitmq)
    problem = not_compared(version)
    if problem:
        print(problem, file=sys.stderr)
    found = list(differences(*transcripts(probe, rabbitmq, embedded)))
    unexplained, idle = judge(probe, version[0], found)
    for difference in unexplained:
        print(difference)
    for known in idle:
        print(f"does not differ: {known}")
    return 1 if unexplained or idle else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
