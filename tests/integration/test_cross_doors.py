"""The cases of the cross-language test through every other client, and with every other worker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rpc.envelope import CODECS
from tests.cross_test import node_peer, running
from tests.cross_test.doors import DOORS, protocols_of
from tests.cross_test.foreign_workers import WORKERS
from tests.cross_test.limits import differing_cases, plays
from tests.cross_test.running import Pair
from tests.cross_test.values import Case
from tests.integration.test_cross import comparable
from tools.nodes.broker_node import BrokerNode


def check(peer: str, protocol: str, run: Callable[[list[Case]], tuple[dict[str, Pair], str]]) -> None:
    """Check all cases of a protocol. Exactly those differ that show a limit of the peer's."""
    played, problem = run([case for case in running.cases_in(protocol) if plays(peer, case)])
    assert problem == ""
    assert len(played) > 120
    differing = {
        name: f"{found} is not {expected}"[:2000]
        for name, (expected, found) in played.items()
        if comparable(expected) != comparable(found)
    }
    limits = differing_cases(peer, protocol)
    assert {name: told for name, told in differing.items() if name not in limits} == {}
    assert limits - differing.keys() == set(), "these do not differ any more"


def needs_node(name: str) -> None:
    """Skip a test of Node.js where it, or its packages, cannot be had."""
    if "node" in name and node_peer.missing():
        pytest.skip(f"no peer in Node.js: {node_peer.missing()}")


@pytest.mark.parametrize(("door", "protocol"), [(door, each) for door in DOORS for each in protocols_of(door)])
def test_another_client_plays_the_cases(door: str, protocol: str, broker: BrokerNode) -> None:
    """The handler sees its arguments, and it gets the answer."""
    needs_node(door)
    check(f"{door} client", protocol, lambda cases: running.run_through(door, broker.url, protocol, cases))


@pytest.mark.parametrize("protocol", CODECS)
@pytest.mark.parametrize("worker", WORKERS)
def test_another_worker_plays_the_cases(worker: str, protocol: str, broker: BrokerNode) -> None:
    """Its handler sees the arguments of our client, which gets the answer."""
    needs_node(worker)
    check(f"{worker} worker", protocol, lambda cases: running.run_against(worker, broker.url, protocol, cases))
