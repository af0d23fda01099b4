"""The search of the fuzzer, in processes of its own. Without atheris these tests are skipped by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

SEARCH = """
import sys, time
from pathlib import Path
from tests.fuzz.harnesses import Harness
from tests.fuzz.run import Bounds, search

def check(data):
    if data[:1] == b"R":
        raise KeyError("planted")
    if data[:1] == b"S":
        began = time.process_time()
        while time.process_time() < began + 0.6:
            pass

def sound(data):
    pass

kinds = {"error": lambda data: check(b"R" * (data[:1] > b"M")), "slow": lambda data: check(b"S" * (data[:1] > b"M"))}
chosen = [Harness(name, kind, {}) for name, kind in (kinds | {"sound": sound}).items()]
for outcome in search(chosen, Bounds(20, 5000), 2, Path(sys.argv[1])):
    print(outcome)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of a search of three harnesses: two break their promises, one does not."""
    pytest.importorskip("atheris", reason="the fuzzer has no wheels for this Python or machine")
    command = (sys.executable, "-c", SEARCH, str(tmp_path_factory.mktemp("fuzz")))
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True).stdout


def test_tells_the_error_and_the_input(told: str) -> None:
    """The input is kept; the other searches go on."""
    finding = told[told.index("error  ") :]
    assert "FINDING" in finding.splitlines()[0]
    assert "KeyError: 'planted'" in finding
    place = finding.partition("the input: ")[2].splitlines()[0]
    assert Path(place).read_bytes()[:1] > b"M"


def test_takes_a_slow_input_for_a_finding(told: str) -> None:
    """By its CPU time."""
    assert "TooSlow" in told[told.index("slow  ") :]


def test_counts_the_inputs_of_a_sound_harness(told: str) -> None:
    """As many as were asked for."""
    (line,) = (line for line in told.splitlines() if line.startswith("sound  "))
    assert "5,000 executions" in line
    assert "no finding" in line
