"""The committed inputs of the fuzzer, played on every Python, also where the fuzzer is not installed."""

from __future__ import annotations

import pytest

from tests.fuzz.harnesses import LARGEST_INPUT, NAMES, Harness
from tests.fuzz.run import CORPUS

pytestmark = pytest.mark.slow

TABLE = (CORPUS.parents[2] / "CONTRIBUTING.md").read_text("utf-8")
"""The page that lists the promises."""


def inputs(name: str) -> dict[str, bytes]:
    """Return the committed inputs of a harness by their names."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / name).iterdir())}


@pytest.mark.parametrize("name", NAMES)
def test_keeps_the_promise_for_every_input(name: str) -> None:
    """Each is one that the library made, or one that broke the promise once."""
    harness = Harness.of(name)
    for data in inputs(name).values():
        harness.one(data)
        for size in range(len(data)):
            harness.one(data[:size])


@pytest.mark.parametrize("name", NAMES)
def test_the_corpus_is_what_the_library_makes(name: str) -> None:
    """``python -m tests.fuzz.seeds`` writes it; after a change of a format, the old inputs may stay as well."""
    seeds = Harness.of(name).seeds
    committed = inputs(name)
    assert {seed: committed.get(seed) for seed in seeds} == dict(seeds)
    assert max(map(len, committed.values())) <= LARGEST_INPUT


@pytest.mark.parametrize("name", NAMES)
def test_a_promise_is_one_sentence(name: str) -> None:
    """It is listed in CONTRIBUTING.md."""
    promise = Harness.of(name).promise
    assert promise.endswith(".")
    assert promise.count(".") == 1
    assert promise in TABLE, promise
