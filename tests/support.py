"""What tests share: the base of test cases that speak to a real RabbitMQ."""

from __future__ import annotations

import secrets
from typing import ClassVar

from twisted.trial.unittest import TestCase

from tests.rabbitmq import RabbitMQNode


class BrokerTestCase(TestCase):
    """A test case with a RabbitMQ node, started for the first such class and shared by all (see ``conftest.py``).

    Tests keep apart by names: :meth:`unique` for queues and exchanges, :meth:`virtual_host` for whole sets of them.

    :cvar own_broker: a class that stops, kills or alarms its broker sets this and gets a node of its own (six seconds).
    :cvar broker: the node: listeners with and without TLS, mechanisms PLAIN and EXTERNAL.
    :cvar url: its ``amqp://`` URI, as user guest in virtual host ``/``.
    """

    timeout = 30.0
    own_broker: ClassVar[bool] = False
    broker: ClassVar[RabbitMQNode]
    url: ClassVar[str]

    def unique(self, name: str) -> str:
        """The name with a suffix that nothing else on the broker has."""
        return f"{name}.{secrets.token_hex(4)}"

    @classmethod
    def virtual_host(cls) -> str:
        """Create a virtual host, about a second's work, and return its ``amqp://`` URI."""
        name = f"test-{secrets.token_hex(4)}"
        cls.broker.ctl("add_vhost", name)
        cls.broker.ctl("set_permissions", "--vhost", name, "guest", ".*", ".*", ".*")
        return f"{cls.url}/{name}"
