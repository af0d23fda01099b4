"""The legs of the matrix: environments, and what is run in each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import attrs

from tools.matrix import environments
from tools.matrix.environments import Environment
from tools.matrix.pythons import MINORS


@attrs.frozen
class Step:
    """A command of a leg. :ivar title: the column in the table."""

    name: str
    title: str
    command: tuple[str, ...]


DEMO = Step("demo", "demo", ("python", "-m", "tools.demo.demo"))
DEMO_ON_RABBITMQ = attrs.evolve(DEMO, command=(*DEMO.command, "--rabbitmq"))
SIDE_BY_SIDE = ("--numprocesses", "3", "--dist", "loadfile")
"""As in ``scripts/test``. Faults have bounds in seconds, so the steps with RabbitMQ run one test at a time."""

UNIT = Step("unit", "unit tests", ("pytest", "--quiet", *SIDE_BY_SIDE, "tests/unit"))
EMBEDDED = Step("embedded", "on the embedded broker", ("pytest", "--quiet", *SIDE_BY_SIDE, "--broker", "embedded"))
RABBITMQ = Step("rabbitmq", "on RabbitMQ", ("pytest", "--quiet", "tests/integration", "tests/faults"))

STEPS = (DEMO, UNIT, EMBEDDED, RABBITMQ)
"""The columns of the table."""


@attrs.frozen
class Leg:
    """An environment, and what is run in it.

    :ivar make: makes the environment, or finds it made; see ``environments.py``.
    """

    name: str
    make: Callable[[], Environment]
    steps: tuple[Step, ...]


OF_PYTHON = (DEMO, UNIT, EMBEDDED)
OF_RABBITMQ = (DEMO_ON_RABBITMQ, RABBITMQ)


def legs(minor: int = sys.version_info.minor, release: str = "") -> tuple[Leg, ...]:
    """Return all legs but those of this machine's own Python and RabbitMQ, which ``scripts/test`` covers.

    :param minor: of this Python 3.
    :param release: the code name of this machine's Debian release.
    """
    pythons = [
        Leg(f"python-3.{each}", partial(environments.with_python, each), OF_PYTHON) for each in MINORS if each != minor
    ]
    oldest = Leg("oldest-dependencies", environments.with_oldest_dependencies, OF_PYTHON)
    brokers = [
        Leg(f"rabbitmq-{suite}", partial(environments.with_rabbitmq, suite), OF_RABBITMQ)
        for suite in ("bookworm", "trixie", "sid")
        if suite != release
    ]
    return (*pythons, oldest, *brokers, Leg("python-sid", partial(environments.with_python_of, "sid"), OF_PYTHON))
