"""The base of test cases that serve and call: on the broker that pytest has chosen."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import rpc
from rpc.hosting import DRAIN_TIMEOUT
from rpc.testing import Harness
from tests.support import BrokerTestCase


class ServiceTestCase(BrokerTestCase):
    """A test case that serves and calls. Its workers and connections are stopped after the test.

    :ivar address: URI of a virtual host of the test's own, for services under their own names; default: the shared one.
    """

    address: str | None = None
    _harness: Harness | None = None

    @property
    def harness(self) -> Harness:
        """The test's harness, on the broker that the test uses."""
        if self._harness is None:
            self._harness = Harness(url=self.address or self.url)
            self.addCleanup(self._harness.stop)
        return self._harness

    def serve(self, *services: rpc.ThriftService) -> rpc.Worker:
        """Start a worker."""
        return self.harness.serve(*services, drain_timeout=DRAIN_TIMEOUT)

    async def connect(self) -> rpc.Connection:
        """Connect to the broker."""
        return await self.harness.connect()

    async def client(self, stub: ModuleType, probe: str, *arguments: Any, **options: Any) -> Any:
        """Connect, and return a client when the service has answered.

        :param probe: a method that may be called for that, with `arguments`.
        """
        connection = await self.connect()
        client = connection.client(stub, **options)
        while True:
            try:
                await getattr(client, probe)(*arguments)
            except rpc.ServiceUnavailable:
                continue  # its worker is still declaring the queue
            return client
