"""The promises hold under faults of one node, of networks, of workers and clients: the short form of each."""

from __future__ import annotations

from tests.faults.fault_case import FaultTestCase


class BrokerFaultTests(FaultTestCase):
    """Brokers, queues, networks and processes."""

    async def test_broker_killed(self) -> None:
        """The broker is killed and started again under calls."""
        await self.check("broker-killed")

    async def test_connections_closed(self) -> None:
        """The broker closes all connections, again and again."""
        await self.check("connections-closed")

    async def test_memory_alarm(self) -> None:
        """The broker is short of memory for a while."""
        await self.check("memory-alarm")

    async def test_worker_killed(self) -> None:
        """Workers are killed with calls in progress."""
        await self.check("worker-killed")

    async def test_worker_killed_with_deduplicate(self) -> None:
        """The same with workers that keep replies."""
        await self.check("worker-killed-deduplicate")

    async def test_clients_killed(self) -> None:
        """Clients are killed with calls under way."""
        await self.check("clients-killed")

    async def test_poison(self) -> None:
        """A request that ends every worker which takes it."""
        await self.check("poison-classic")

    async def test_rolling_restart(self) -> None:
        """Workers leave and come under calls."""
        await self.check("rolling-restart")

    async def test_flood(self) -> None:
        """Ten times the calls that a worker can take."""
        await self.check("flood")

    async def test_client_cut(self) -> None:
        """A client's connection is cut at many bytes."""
        await self.check("client-cut")

    async def test_worker_cut(self) -> None:
        """A worker's connection is cut at many bytes."""
        await self.check("worker-cut")

    async def test_silence(self) -> None:
        """Nothing comes any more, or nothing goes."""
        await self.check("silence")

    async def test_delay(self) -> None:
        """A late answer is not a lost one."""
        await self.check("delay")

    async def test_replies_cut(self) -> None:
        """A live worker gets a request again that it has answered."""
        await self.check("replies-cut")

    async def test_request_queue_deleted(self) -> None:
        """The request queue is deleted under worker and callers."""
        await self.check("request-queue-deleted")

    async def test_reply_queue_deleted(self) -> None:
        """The reply queue is deleted under its client."""
        await self.check("reply-queue-deleted")

    async def test_logins(self) -> None:
        """The error says what the broker rejects."""
        await self.check("logins")
