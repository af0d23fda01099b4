"""The promises hold under faults of one node, of networks, of workers and clients: the short form of each."""

from __future__ import annotations

from tests.faults.fault_case import FaultTestCase


class BrokerFaultTests(FaultTestCase):
    """Brokers, queues, networks and processes."""

    async def test_calls_are_answered_after_the_broker_is_killed(self) -> None:
        """The broker is killed and started again under calls."""
        await self.check("broker-killed")

    async def test_nothing_grows_when_the_broker_closes_connections(self) -> None:
        """The broker closes all connections, again and again."""
        await self.check("connections-closed")

    async def test_calls_fail_fast_under_a_memory_alarm(self) -> None:
        """The broker is short of memory for a while."""
        await self.check("memory-alarm")

    async def test_memory_is_bounded_when_the_broker_stops_reading(self) -> None:
        """The broker sends heartbeats, and takes no more bytes of a client."""
        await self.check("broker-stops-reading")

    async def test_calls_of_a_killed_worker_are_answered(self) -> None:
        """Workers are killed with calls in progress."""
        await self.check("worker-killed")

    async def test_calls_of_a_killed_worker_are_answered_with_deduplicate(self) -> None:
        """The same with workers that keep replies."""
        await self.check("worker-killed-deduplicate")

    async def test_killed_clients_leave_no_queues(self) -> None:
        """Clients are killed with calls in progress."""
        await self.check("clients-killed")

    async def test_a_request_that_kills_workers_becomes_a_dead_letter(self) -> None:
        """A request that ends every worker which takes it."""
        await self.check("poison-classic")

    async def test_a_rolling_restart_loses_no_call(self) -> None:
        """Workers leave and come under calls."""
        await self.check("rolling-restart")

    async def test_a_flooded_worker_answers_or_rejects_every_call(self) -> None:
        """Ten times the calls that a worker can take."""
        await self.check("flood")

    async def test_a_client_survives_cuts_of_its_connection(self) -> None:
        """A client's connection is cut at many bytes."""
        await self.check("client-cut")

    async def test_a_worker_survives_cuts_of_its_connection(self) -> None:
        """A worker's connection is cut at many bytes."""
        await self.check("worker-cut")

    async def test_a_silent_connection_is_noticed_by_heartbeats(self) -> None:
        """Nothing comes any more, or nothing goes."""
        await self.check("silence")

    async def test_a_slow_connection_delivers_every_answer(self) -> None:
        """A late answer is not a lost one."""
        await self.check("delay")

    async def test_a_call_whose_reply_is_cut_is_not_lost(self) -> None:
        """A live worker gets a request again that it has answered."""
        await self.check("replies-cut")

    async def test_a_deleted_request_queue_is_declared_again(self) -> None:
        """The request queue is deleted under worker and callers."""
        await self.check("request-queue-deleted")

    async def test_a_deleted_reply_queue_is_declared_again(self) -> None:
        """The reply queue is deleted under its client."""
        await self.check("reply-queue-deleted")

    async def test_a_rejected_login_is_told_in_words(self) -> None:
        """The error names the rejected option."""
        await self.check("logins")

    async def test_a_request_that_blocks_the_reactor_of_one_worker_ends(self) -> None:
        """Handlers block for longer than the broker waits for heartbeats."""
        await self.check("reactor-blocked")

    async def test_a_request_that_blocks_the_reactors_of_two_workers_ends(self) -> None:
        """The second worker gets the request of the first."""
        await self.check("reactor-blocked-two-workers")

    async def test_a_request_that_blocks_the_reactor_ends_with_the_default_limit(self) -> None:
        """Nothing begins after its end."""
        await self.check("reactor-blocked-defaults")

    async def test_a_call_runs_once_in_one_worker_whose_channel_times_out(self) -> None:
        """RabbitMQ's delivery acknowledgement timeout is shorter than the call."""
        await self.check("delivery-timed-out")

    async def test_a_call_is_settled_by_two_workers_whose_channels_time_out(self) -> None:
        """Each worker joins the copies of its own run."""
        await self.check("delivery-timed-out-two-workers")

    async def test_a_oneway_call_to_a_full_worker_is_run_or_dead_lettered(self) -> None:
        """The worker's only slot is taken, and its backlog is full."""
        await self.check("worker-full")

    async def test_a_oneway_call_to_a_draining_worker_is_run_or_dead_lettered(self) -> None:
        """The worker stops while calls to it alone come."""
        await self.check("worker-draining")

    async def test_a_request_that_was_acked_before_runs_once(self) -> None:
        """Its handler exits the process."""
        await self.check("quits-before")
