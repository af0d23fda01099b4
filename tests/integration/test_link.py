"""The link on a real broker that is killed, restarted, and told to close connections."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from rpc.amqp.channel import Channel
from rpc.amqp.content import Delivery
from rpc.errors import BrokerUnreachable
from rpc.interfaces import IChannelUser
from rpc.link import Link
from rpc.uri import parse
from tests.support import BrokerTestCase
from tools.nodes.rabbitmq import free_ports

NO_PROPERTIES = b"\x00\x00"


@implementer(IChannelUser)
class Consumer:
    """Consumes a queue of its own on each channel; can be told to fail so many times first.

    :ivar ready: gets the queue's name each time there is one.
    :ivar losses: gets each reason.
    """

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.channel: Any = None
        self.ready: DeferredQueue[str] = DeferredQueue()
        self.losses: DeferredQueue[Exception] = DeferredQueue()
        self.bodies: DeferredQueue[bytes] = DeferredQueue()

    def opened(self, channel: Channel) -> Deferred[None]:
        self.channel = channel
        if self.failures:
            self.failures -= 1
            missing: Deferred[None] = channel.queue_declare(queue="no such queue", passive=True)
            return missing
        return Deferred.fromCoroutine(self._set_up(channel))

    async def _set_up(self, channel: Channel) -> None:
        queue = (await channel.queue_declare(queue="", exclusive=True)).queue
        await channel.consume(queue, self._delivered, lambda: None, no_ack=True)
        self.ready.put(queue)

    def _delivered(self, delivery: Delivery) -> None:
        self.bodies.put(delivery.body)

    def lost(self, reason: Exception) -> None:
        self.losses.put(reason)

    def blocked(self, reason: str | None) -> None:
        """Do nothing: this user keeps no messages."""

    def refused(self, error: Exception) -> None:
        """Do nothing, as in blocked."""


class LinkTestCase(BrokerTestCase):
    """Links that are stopped when the test ends; trial fails a test that leaves a timer or a socket."""

    timeout = 180.0

    def link(self, uri: str | None = None) -> Link:
        """A link that is started."""
        link = Link(reactor, parse(uri or self.url), "client")
        self.addCleanup(link.stopService)
        link.startService()
        return link

    async def check_works(self, user: Consumer) -> None:
        """A message gets through."""
        queue = await user.ready.get()
        user.channel.publish("", queue, NO_PROPERTIES, b"hello")
        self.assertEqual(await user.bodies.get(), b"hello")


class BrokerThatDiesTests(LinkTestCase):
    """On a broker of their own."""

    own_broker = True

    async def test_users_return_after_a_kill(self) -> None:
        """After kill -9 and a restart all users have channels, queues and consumers again."""
        users = Consumer(), Consumer()
        link = self.link()
        for user in users:
            link.attach(user)
        for user in users:
            await self.check_works(user)
        await deferToThread(self.broker.kill)
        for user in users:
            await user.losses.get()
        self.assertIsNone(link.connection)
        await deferToThread(self.broker.start)
        for user in users:
            await self.check_works(user)
        self.assertIsNone(link.problem)

    async def test_returns_after_the_operator_has_closed_it(self) -> None:
        """The operator's reason is told, and the link is back."""
        link, user = self.link(), Consumer()
        link.attach(user)
        await self.check_works(user)
        await deferToThread(self.broker.close_connections, "maintenance")
        self.assertIn("maintenance", str(await user.losses.get()))
        await self.check_works(user)

    async def test_returns_after_a_shutdown(self) -> None:
        """A shutdown of the broker and its return are a loss like any other."""
        link, user = self.link(), Consumer()
        link.attach(user)
        await self.check_works(user)
        await deferToThread(self.broker.restart)
        self.assertIn("320", str(await user.losses.get()))
        await self.check_works(user)


class LinkTests(LinkTestCase):
    """On the broker that all tests share."""

    async def test_sets_a_user_up_again_until_it_succeeds(self) -> None:
        """The others keep their channels meanwhile."""
        link, good, bad = self.link(), Consumer(), Consumer(failures=2)
        link.attach(good)
        await self.check_works(good)
        link.attach(bad)
        for _ in range(2):
            self.assertIn("404", str(await bad.losses.get()))
        await self.check_works(bad)
        self.assertEqual((len(good.losses.pending), len(good.ready.pending), link.problem), (0, 0, None))

    async def test_finds_the_second_host(self) -> None:
        """With the first host dead, the link finds the second by itself."""
        (dead,) = free_ports(1)
        link = self.link(f"amqp://127.0.0.1:{dead},127.0.0.1:{self.broker.port}")
        user = Consumer()
        link.attach(user)
        await link.when_connected()
        await self.check_works(user)

    async def test_when_connected_fails_when_all_hosts_are_dead(self) -> None:
        """It fails when each was tried once, with the last one's name."""
        ports = free_ports(2)
        link = self.link(f"amqp://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}")
        connected: Deferred[Any] = link.when_connected()
        error = await self.assertFailure(connected, BrokerUnreachable)
        self.assertIn(f":{ports[1]}", str(error))

    async def test_stops_in_every_state(self) -> None:
        """Never started, connecting, connected, with users being opened, between attempts: it fires; nothing stays."""
        never = Link(reactor, parse(self.url), "client")
        await never.stopService()
        await self.link().stopService()
        connected = self.link()
        await connected.when_connected()
        connected.attach(Consumer())
        await connected.stopService()
        (dead,) = free_ports(1)
        waiting = self.link(f"amqp://127.0.0.1:{dead}")
        await self.assertFailure(waiting.when_connected(), BrokerUnreachable)
        await waiting.stopService()
        for link in (never, connected, waiting):
            self.assertIsNone(link.connection)
            await link.stopService()

    async def test_detached_user_gets_nothing_more(self) -> None:
        """Its queue is deleted with its channel, and it is told nothing more."""
        link, user = self.link(), Consumer()
        link.attach(user)
        await self.check_works(user)
        await link.detach(user)
        self.assertTrue(user.channel.closed)
        self.assertEqual(len(user.losses.pending), 0)
