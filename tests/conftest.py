"""pytest's side of the tests: one RabbitMQ node for the session, started when the first test needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from twisted.trial.unittest import SynchronousTestCase

from tests.rabbitmq import RabbitMQNode
from tests.support import BrokerTestCase

settings.register_profile("project", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("project")


def _node() -> RabbitMQNode:
    return RabbitMQNode(
        tls=True,
        plugins=["rabbitmq_auth_mechanism_ssl"],
        config={
            "auth_mechanisms.1": "PLAIN",
            "auth_mechanisms.2": "EXTERNAL",
            "ssl_cert_login_from": "common_name",
        },
    )


@pytest.fixture(scope="session", autouse=True)
def _temporary_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have trial's ``mktemp()`` use pytest's temporary folder; it would litter the current one."""

    def mktemp(case: SynchronousTestCase) -> str:
        return str(tmp_path_factory.mktemp(type(case).__name__) / "temp")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SynchronousTestCase, "mktemp", mktemp)
        yield


@pytest.fixture(scope="session")
def broker() -> Iterator[RabbitMQNode]:
    """The node that all tests share."""
    with _node() as node:
        yield node


@pytest.fixture(scope="class", autouse=True)
def _broker_of_class(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hand a node to the classes that derive from BrokerTestCase; trial's test cases cannot take fixtures."""
    case = request.cls
    if case is None or not issubclass(case, BrokerTestCase):
        yield
        return
    node = _node().start() if case.own_broker else request.getfixturevalue("broker")
    case.broker, case.url = node, node.url
    yield
    if case.own_broker:
        node.close()
