"""The base of test cases that speak to a real broker."""

from __future__ import annotations

import secrets
from typing import ClassVar

from twisted.trial.unittest import TestCase

import rpc
from tools.nodes.broker_node import BrokerNode


async def skip_without_transient_queues(case: BrokerTestCase) -> None:
    """Skip a test with servers of ``txamqp.contrib.thrift`` where the broker refuses their queues: RabbitMQ 4.3 takes
    none that are neither durable nor exclusive, unless its configuration permits them.
    """
    if await _is_rabbitmq(case, 4, 3):
        case.skipTest("RabbitMQ 4.3 refuses the queues of txamqp.contrib.thrift")


async def skip_without_version_08(case: BrokerTestCase) -> None:
    """Skip a test of AMQP 0-8 where the broker does not speak it: from RabbitMQ 4.0 on."""
    if await _is_rabbitmq(case, 4, 0):
        case.skipTest("RabbitMQ 4.0 and later do not speak AMQP 0-8")


async def _is_rabbitmq(case: BrokerTestCase, *version: int) -> bool:
    """Return whether the broker is RabbitMQ of this version, or a later one."""
    connection = await rpc.connect(case.url)
    try:
        broker = connection._link.connection.broker  # type: ignore[union-attr]  # it is open
    finally:
        await connection.close()
    return broker.product == "RabbitMQ" and broker.version >= version


class BrokerTestCase(TestCase):
    """A test case with a broker, started for the first such class and shared by all.

    Which broker it is says pytest's option ``--broker`` (see ``conftest.py``). A class or test that cannot be had on
    the embedded one is marked ``@pytest.mark.rabbitmq_only("why")``, and has a row in ``docs/broker.md``.

    Tests keep apart by names: :meth:`unique` for queues and exchanges, :meth:`virtual_host` for whole sets of them.

    :cvar own_broker: a class that stops, kills or alarms its broker sets this and gets a node of its own (six seconds
        for a RabbitMQ).
    :cvar broker: the node. RabbitMQ has listeners with and without TLS, and mechanisms PLAIN and EXTERNAL.
        Marked classes that use more of it declare ``broker`` as a ``RabbitMQNode``.
    :cvar url: its ``amqp://`` URI, as user guest in virtual host ``/``.
    """

    timeout = 120.0
    own_broker: ClassVar[bool] = False
    broker: ClassVar[BrokerNode]
    url: ClassVar[str]

    def unique(self, name: str) -> str:
        """The name with a suffix that nothing else on the broker has."""
        return f"{name}.{secrets.token_hex(4)}"

    @classmethod
    def virtual_host(cls) -> str:
        """Create a virtual host, about a second's work for RabbitMQ, and return its ``amqp://`` URI."""
        name = f"test-{secrets.token_hex(4)}"
        cls.broker.add_virtual_host(name)
        return f"{cls.url}/{name}"
