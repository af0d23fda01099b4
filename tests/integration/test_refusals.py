"""The broker's own answers, and whether another attempt would only repeat them (``rpc/refusals.py``)."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from rpc.errors import AMQPError, AuthenticationFailed, ChannelClosed, DeclarationRefused, VirtualHostRefused
from rpc.refusals import is_permanent
from tests.integration.amqp_case import AMQPTestCase
from tools.nodes.rabbitmq import RabbitMQNode


class RefusalTestCase(AMQPTestCase):
    """Checks errors as a link gets them."""

    async def refused(self, attempt: Any, kind: type[AMQPError], words: str, *, permanent: bool) -> None:
        """Check the error of an attempt."""
        with self.assertRaisesRegex(kind, words) as caught:
            await attempt
        self.assertIs(type(caught.exception), kind)
        self.assertIs(is_permanent(caught.exception), permanent, caught.exception)


class RefusalTests(RefusalTestCase):
    """On both brokers."""

    async def test_a_wrong_password_lasts(self) -> None:
        """The broker does not say whether the user exists."""
        url = self.url.replace("guest:guest", "guest:wrong")
        await self.refused(self.connect(url), AuthenticationFailed, "Login was refused", permanent=True)

    async def test_a_virtual_host_that_does_not_exist_lasts(self) -> None:
        """Also when its name has a word of another answer."""
        for name in ("nowhere", "limits", "connection limit (0) is reached"):
            url = f"{self.url}/{name.replace(' ', '%20')}"
            await self.refused(self.connect(url), VirtualHostRefused, "not found", permanent=True)

    async def test_a_queue_with_other_arguments_lasts(self) -> None:
        """The code of many other errors, 406."""
        channel = await self.channel()
        name = await self.queue(channel, queue=self.unique("q"))
        other = channel.queue_declare(queue=name, exclusive=True, auto_delete=True, arguments={"x-max-length": 1})
        await self.refused(other, DeclarationRefused, "inequivalent arg 'x-max-length'", permanent=True)

    async def test_an_exclusive_queue_of_another_connection_passes(self) -> None:
        """It ends with that connection."""
        queue = await self.queue(await self.channel(), queue=self.unique("locked"))
        declared = (await self.channel()).queue_declare(queue=queue, exclusive=True, auto_delete=True)
        await self.refused(declared, ChannelClosed, "RESOURCE_LOCKED", permanent=False)

    async def test_a_missing_queue_lasts(self) -> None:
        """As a service with ``declare_queue=False`` is told."""
        asked = (await self.channel()).queue_declare(queue=self.unique("missing"), passive=True)
        await self.refused(asked, DeclarationRefused, "NOT_FOUND - no queue", permanent=True)

    async def test_a_queue_in_exclusive_use_passes(self) -> None:
        """The exclusive consumer may end. The code is that of a missing permission."""
        channel, other = await self.channel(), await self.channel()
        for name in ("q", "q" * 200):  # the broker cuts the text
            queue = self.unique(name)
            await channel.queue_declare(queue=queue)
            self.addCleanup(channel.queue_delete, queue=queue)
            await channel.basic_consume(queue=queue, exclusive=True)
            await self.refused(
                other.basic_consume(queue=queue), ChannelClosed, "ACCESS_REFUSED - queue", permanent=False
            )
            other = await self.channel()


@pytest.mark.rabbitmq_only("the embedded broker has neither permissions nor limits of virtual hosts and users")
class LimitTests(RefusalTestCase):
    """Permissions and limits."""

    timeout = 60.0
    broker: ClassVar[RabbitMQNode]

    def ctl(self, *words: str) -> Deferred[str]:
        """Run ``rabbitmqctl``."""
        return deferToThread(self.broker.ctl, *words)

    async def user(self, name: str, *permissions: str) -> str:
        """Add a user. Return the broker's URL with it."""
        await self.ctl("add_user", name, "secret")
        if permissions:
            await self.ctl("set_permissions", name, *permissions)
        return self.url.replace("guest:guest", f"{name}:secret")

    async def test_a_user_without_permissions_lasts(self) -> None:
        """In the virtual host, for a queue, and for a user whose name has a word of another answer."""
        outside = await self.user(self.unique("rate-limiter"))
        await self.refused(self.connect(outside), VirtualHostRefused, "refused for user", permanent=True)
        inside = await self.channel(await self.user(self.unique("in exclusive use").replace(" ", "-"), "^$", "", ""))
        declared = inside.queue_declare(queue=self.unique("in exclusive use"), durable=True)
        await self.refused(declared, ChannelClosed, r"ACCESS_REFUSED - (configure )?access to queue", permanent=True)

    async def test_a_limit_of_connections_passes(self) -> None:
        """Of a virtual host, and of a user: other connections end."""
        vhost = self.unique("vhost")
        await deferToThread(self.broker.add_virtual_host, vhost)
        await self.ctl("set_vhost_limits", "-p", vhost, '{"max-connections": 0}')
        url = f"{self.url}/{vhost}"
        await self.refused(self.connect(url), VirtualHostRefused, r"connection limit \(0\) is reached", permanent=False)
        name = self.unique("user")
        url = await self.user(name, ".*", ".*", ".*")
        await self.ctl("set_user_limits", name, '{"max-connections": 0}')
        await self.refused(self.connect(url), VirtualHostRefused, r"connection limit \(0\) is reached", permanent=False)

    async def test_a_limit_of_queues_passes(self) -> None:
        """Other queues are deleted. The code is that of other arguments."""
        vhost = self.unique("vhost")
        await deferToThread(self.broker.add_virtual_host, vhost)
        await self.ctl("set_vhost_limits", "-p", vhost, '{"max-queues": 0}')
        channel = await self.channel(f"{self.url}/{vhost}")
        declared = channel.queue_declare(queue="q", durable=True)
        await self.refused(declared, ChannelClosed, r"queue limit in vhost .* \(0\) is reached", permanent=False)
