"""pytest's side of the tests: one broker for the session, started when the first test needs it.

``--broker embedded`` runs only the tests that speak to a broker, on the embedded one: the rest would do the same
again.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings
from twisted.trial.unittest import SynchronousTestCase

from tests.support import BrokerTestCase
from tools.nodes.broker_node import BrokerNode
from tools.nodes.embedded import EmbeddedNode
from tools.nodes.rabbitmq import RabbitMQNode

settings.register_profile("project", deadline=None)  # how long an example takes is the machine's affair
settings.register_profile("quick", deadline=None, max_examples=10)  # for scripts/test --quick
settings.load_profile("project")

ON_BOTH = ("tests.integration.", "tests.services.")
"""Where test cases are that run on either broker; faults are injected into RabbitMQ."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let one choose the broker."""
    parser.addoption(
        "--broker",
        choices=("rabbitmq", "embedded"),
        default="rabbitmq",
        help="the broker that tests speak to; embedded: only such tests are run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known by which tests say that they are not for both brokers; let Ctrl-C reach programs."""
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # a shell starts its background jobs so, and theirs inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "rabbitmq_only(reason): cannot be had on the embedded broker")
    config.addinivalue_line("markers", "slow: a unit test of more than a second, which scripts/test --quick leaves out")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests that do not depend on the broker, and skip those for RabbitMQ only, with the reason."""
    if not _embedded(config):
        return
    chosen = [item for item in items if _speaks_to_a_broker(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen
    for item in items:
        mark = item.get_closest_marker("rabbitmq_only")
        if mark is not None:
            item.add_marker(pytest.mark.skip(reason=mark.args[0]))


def _embedded(config: pytest.Config) -> bool:
    return bool(config.getoption("broker") == "embedded")


def _speaks_to_a_broker(item: pytest.Item) -> bool:
    case = getattr(item, "cls", None)
    if case is None:
        return isinstance(item, pytest.Function) and "broker" in item.fixturenames and _is_in(ON_BOTH, item.module)
    return issubclass(case, BrokerTestCase) and _is_in(ON_BOTH, sys.modules[case.__module__])


def _is_in(packages: tuple[str, ...], module: ModuleType) -> bool:
    return module.__name__.startswith(packages)


def _new_node(config: pytest.Config, state: bool = False) -> BrokerNode:
    if _embedded(config):
        return EmbeddedNode(state=state)
    return RabbitMQNode(
        tls=True,
        plugins=["rabbitmq_auth_mechanism_ssl"],
        config={
            "auth_mechanisms.1": "PLAIN",
            "auth_mechanisms.2": "EXTERNAL",
            "auth_mechanisms.3": "AMQPLAIN",
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


def is_late_signal(error: BaseException | None) -> bool:
    """Return whether an error that Python reports tells of the end of a child process that was noticed late.

    Twisted removes its handler of SIGCHLD when trial stops the reactor. A thread that runs late may take the signal of
    a child just before that, and Python finds no handler when it looks for one (``Modules/signalmodule.c``). Nothing is
    lost: the reactor looks for ended children when it starts again.
    """
    return isinstance(error, OSError) and str(error) == f"Signal {signal.SIGCHLD:d} ignored due to race condition"


@pytest.fixture(scope="session", autouse=True)
def _late_signals() -> Iterator[None]:
    """Have no test fail by a late signal: pytest would fail the one that just runs."""
    report = sys.unraisablehook

    def report_others(unraisable: Any) -> None:
        if not is_late_signal(unraisable.exc_value):
            report(unraisable)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", report_others)
        yield


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[BrokerNode]:
    """The node that all tests share."""
    with _new_node(request.config) as node:
        yield node


@pytest.fixture(scope="class", autouse=True)
def _broker_of_class(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hand a node to the classes that derive from BrokerTestCase; trial's test cases cannot take fixtures."""
    case = request.cls
    if case is None or not issubclass(case, BrokerTestCase):
        yield
        return
    own = case.own_broker
    node = _new_node(request.config, state=True).start() if own else request.getfixturevalue("broker")
    case.broker, case.url = node, node.url
    yield
    if own:
        node.close()
    elif isinstance(node, EmbeddedNode):
        node.check_log()
