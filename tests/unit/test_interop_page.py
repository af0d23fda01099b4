"""``docs/interop.md`` names tests that exist, and has every client and worker that plays the cases."""

from __future__ import annotations

import re

import pytest

from tests.cross_test.cases import CASES
from tests.cross_test.doors import DOORS
from tests.cross_test.foreign_workers import WORKERS
from tests.cross_test.limits import LIMITS
from tools.processes import PROJECT

PAGE = (PROJECT / "docs" / "interop.md").read_text("utf-8")
TESTS = sorted(set(re.findall(r"`(tests/\w+/test_\w+\.py)(::[\w:]+)?(\[[^]]+\])?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, name, _ in TESTS])
def test_a_test_of_the_page_exists(path: str, name: str) -> None:
    """Under its name, in its file."""
    text = (PROJECT / path).read_text("utf-8")
    for part in filter(None, name.split("::")):
        assert re.search(rf"^ *(?:async )?(?:def|class) {part}\b", text, re.MULTILINE), part


def test_the_page_has_each_client_and_worker() -> None:
    """The page names each client and worker that is tested, and no other."""
    clients = {parameters for _, name, parameters in TESTS if name == "::test_another_client_plays_the_cases"}
    workers = {parameters for _, name, parameters in TESTS if name == "::test_another_worker_plays_the_cases"}
    assert clients == {f"[{door}-*]" for door in DOORS}
    assert workers == {f"[{worker}-*]" for worker in WORKERS}


def test_limits_are_of_cases_and_peers_that_there_are() -> None:
    """A misspelt one would never be looked at."""
    assert {case for limit in LIMITS for case in limit.cases} <= {case.name for case in CASES}
    peers = {f"{door} client" for door in DOORS} | {f"{worker} worker" for worker in WORKERS}
    assert {peer for limit in LIMITS for peer in limit.peers} <= peers
