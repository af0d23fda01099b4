"""Other clients get the same answers from the embedded broker and from RabbitMQ; ``known.py`` lists the differences.

Scenarios and their words are in ``tools/probes/``; a probe alone is run by ``python -m tools.probes.compare``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.nodes.broker_node import BrokerNode
from tools.nodes.embedded import EmbeddedNode
from tools.probes.compare import (
    COMPARED,
    PROBES,
    PROJECT,
    Difference,
    differences,
    judge,
    not_compared,
    transcripts,
    version_of,
)
from tools.probes.known import KNOWN


@pytest.fixture(scope="module")
def version(broker: BrokerNode) -> int:
    """The major version of the RabbitMQ that all tests share."""
    if isinstance(broker, EmbeddedNode):
        pytest.skip("the embedded broker is compared with RabbitMQ, not with itself")
    version = version_of(broker.url)
    problem = not_compared(version)
    if problem:
        pytest.skip(problem)
    return version[0]


@pytest.fixture(scope="module")
def embedded(version: int) -> Iterator[EmbeddedNode]:
    """An embedded broker of the probes' own, with the answers of that version."""
    with EmbeddedNode(compatibility=version) as node:
        yield node


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_sees_the_same_of_both_brokers(
    probe: str, version: int, broker: BrokerNode, embedded: EmbeddedNode
) -> None:
    """Every difference is explained, and no explanation is left over. Every scenario finishes on RabbitMQ."""
    of_rabbitmq, of_embedded = transcripts(probe, broker.url, embedded.url)
    embedded.check_log()
    assert not [line for line in of_rabbitmq if ": ended by " in line or ": not cleaned up: " in line]
    assert len(of_rabbitmq) > 200
    unexplained, idle = judge(probe, version, list(differences(of_rabbitmq, of_embedded)))
    assert not unexplained, "not explained:\n" + "\n".join(map(str, unexplained))
    assert not idle, f"these do not differ any more, so known.py need not explain them: {idle}"


def test_a_version_is_compared_when_its_differences_are_known() -> None:
    """An explanation is for a major version; one of its minor versions was looked at."""
    assert {version for known in KNOWN for version in known.versions} == {major for major, _ in COMPARED}
    assert [not_compared(version) for version in COMPARED] == [None, None]
    assert "of RabbitMQ 4.3 are not known: the embedded broker is compared with 3.10 and 4.0" in str(
        not_compared((4, 3))
    )


def test_what_is_known_is_of_a_probe_that_there_is() -> None:
    """An explanation with a misspelt probe would never be looked at."""
    assert {known.probe for known in KNOWN} <= set(PROBES)


def test_what_is_known_is_told() -> None:
    """Users read of every difference, with its reason, in docs/broker.md."""
    page = " ".join((PROJECT / "docs/broker.md").read_text("utf-8").split())
    assert not [known.reason for known in KNOWN if known.reason not in page]


def test_a_transcript_is_compared_by_scenarios() -> None:
    """A line that is missing does not shift those behind it, nor other scenarios."""
    first = ["a: 1", "a: 2", "a: 3", "b: 1", "c: 1"]
    second = ["c: 2", "a: 1", "a: 3", "b: 1"]
    assert list(differences(first, second)) == [Difference("a: 2", None), Difference("c: 1", "c: 2")]
    assert not list(differences(first, first))
