"""What tests of services share: workers in the test's own process, and clients that wait for them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import rpc
from tests.support import BrokerTestCase


class ServiceTestCase(BrokerTestCase):
    """A test case that serves and calls; everything it starts is stopped behind it.

    :ivar address: URI of a virtual host of the test's own, for services under their own names; default: the shared one.
    """

    address: str | None = None

    def serve(self, *services: rpc.ThriftService) -> rpc.Worker:
        """Start a worker."""
        worker = rpc.Worker(self.address or self.url, services)
        worker.startService()
        self.addCleanup(worker.stopService)
        return worker

    async def connect(self) -> rpc.Connection:
        """Connect to the broker."""
        connection = await rpc.connect(self.address or self.url)
        self.addCleanup(connection.close)
        return connection

    async def client(self, stub: ModuleType, probe: str, *arguments: Any, **options: Any) -> Any:
        """Connect, and give a client when the service has answered.

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
