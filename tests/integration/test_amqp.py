"""The AMQP layer on a real broker: bodies, tables, confirms, returns, cancels and errors."""

from __future__ import annotations

import decimal
from datetime import datetime, timezone
from typing import Any

import pytest
from twisted.internet.defer import Deferred, DeferredQueue

from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.content import Returned
from rpc.errors import AMQPError, ChannelClosed, CodecError, ConnectionClosed
from rpc.messages import Properties
from tests.integration.amqp_case import AMQPTestCase, later

NO_PROPERTIES = b"\x00\x00"
MEGABYTE = 2**20
SMALL = 8192
"""The smallest frame_max of RabbitMQ 4.3."""

PATTERNS = {
    "zeros": b"\x00",
    "ASCII": b"text ",
    "UTF-8": "zwölf €".encode(),
    "all byte values": bytes(range(256)),
}


def body_of(pattern: bytes, size: int) -> bytes:
    """The pattern repeated to the size."""
    return (pattern * (size // len(pattern) + 1))[:size]


class BodyTests(AMQPTestCase):
    """Bodies arrive as they were sent (txAMQP turns some into text, loses others, or closes the connection)."""

    async def check(self, uri: str, sizes: list[int]) -> None:
        """Publish bodies of all sizes and patterns, and compare the deliveries with them."""
        channel = await self.channel(uri)
        queue = await self.queue(channel)
        arrived = await self.consume(channel, queue)
        for name, pattern in PATTERNS.items():
            for size in sizes:
                body = body_of(pattern, size)
                channel.publish("", queue, NO_PROPERTIES, body)
                delivery = await arrived.get()
                self.assertIs(type(delivery.body), bytes)
                self.assertTrue(delivery.body == body, f"{size} bytes of {name}")

    async def test_bodies_arrive_in_frames_of_the_default_size(self) -> None:
        """0 B, 1 B, around frame_max (131,072), 1 MB and 16 MB."""
        frame_max = 131072
        sizes = [0, 1, frame_max - 8, frame_max - 7, frame_max, frame_max + 1, MEGABYTE, 16 * MEGABYTE]
        await self.check(self.url, sizes)

    async def test_bodies_arrive_in_small_frames(self) -> None:
        """The same with the smallest frame_max that all versions of RabbitMQ take."""
        connection = await self.connect(f"{self.url}?frame_max={SMALL}")
        self.assertEqual(connection.frame_max, SMALL)
        await self.check(f"{self.url}?frame_max={SMALL}", [0, 1, SMALL - 8, SMALL - 7, SMALL, SMALL + 1, MEGABYTE])

    async def test_text_and_binary_arrive_in_one_body(self) -> None:
        """Frames that are text and frames that are not, in one body, in both orders."""
        channel = await self.channel(f"{self.url}?frame_max={SMALL}")
        queue = await self.queue(channel)
        arrived = await self.consume(channel, queue)
        whole = SMALL - 8  # the most that fits into one frame
        for body in (b"t" * whole + b"\xff" * whole, b"\xff" * whole + b"t" * whole, "é".encode() * 20_001):
            channel.publish("", queue, NO_PROPERTIES, body)
            self.assertTrue((await arrived.get()).body == body)

    async def test_many_messages_arrive_in_order(self) -> None:
        """Five thousand messages of mixed sizes arrive complete and in order."""
        channel = await self.channel()
        queue = await self.queue(channel)
        arrived = await self.consume(channel, queue)
        for number in range(5000):
            channel.publish("", queue, NO_PROPERTIES, b"%d:" % number + b"x" * (number * 7 % 3000))
        for number in range(5000):
            self.assertEqual((await arrived.get()).body.split(b":")[0], b"%d" % number)


class HeaderTests(AMQPTestCase):
    """Properties and field tables, there and back."""

    async def test_every_type_of_a_table_survives(self) -> None:
        """All types survive the broker, also text and names that are not ASCII."""
        headers = {
            "bool": True,
            "small": -1,
            "large": 2**40,
            "float": 1.5,
            "decimal": decimal.Decimal("-12.345"),
            "text": "é",
            "bytes": b"\x00\xff",
            "time": datetime(2024, 2, 29, 12, tzinfo=timezone.utc),
            "none": None,
            "table": {"nested": {"deep": [1, "two", {"three": None}]}},
            "empty": {},
            "array": [True, [], "x" * 300],
            "ключ": "значение",
        }
        properties = Properties(
            "type/é", "gzip", headers, 2, 9, "cid\udcff", "r", "60000", "mid", 2**33, "t", None, "a"
        )
        channel = await self.channel()
        queue = await self.queue(channel)
        arrived = await self.consume(channel, queue)
        channel.publish("", queue, encode_properties(properties), b"")
        delivery = await arrived.get()
        self.assertEqual(delivery.properties, properties)
        assert delivery.properties.headers is not None
        for name, value in headers.items():
            self.assertIs(type(delivery.properties.headers[name]), type(value), name)
        self.assertEqual((delivery.exchange, delivery.routing_key), ("", queue))

    async def test_names_may_hold_any_letters(self) -> None:
        """Queue, exchange and routing key may hold any letters (txAMQP mis-frames them, and the broker hangs up)."""
        channel = await self.channel()
        exchange = self.unique("обмен")
        queue = await self.queue(channel, queue=self.unique("größe"))
        await channel.exchange_declare(exchange=exchange, type="direct", auto_delete=True)
        await channel.queue_bind(queue=queue, exchange=exchange, routing_key="ключ")
        arrived = await self.consume(channel, queue)
        channel.publish(exchange, "ключ", NO_PROPERTIES, b"x")
        delivery = await arrived.get()
        self.assertEqual((delivery.exchange, delivery.routing_key), (exchange, "ключ"))

    async def test_decodes_an_x_death_header(self) -> None:
        """A dead-lettered message's headers decode (one such message closes txAMQP's connection, again and again)."""
        channel = await self.channel()
        graveyard = await self.queue(channel)
        dead_letters = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graveyard, "x-message-ttl": 1}
        queue = await self.queue(channel, arguments=dead_letters)
        arrived = await self.consume(channel, graveyard)
        channel.publish("", queue, NO_PROPERTIES, b"late")
        headers: Any = (await arrived.get()).properties.headers
        (death,) = headers["x-death"]
        self.assertEqual((death["queue"], death["reason"], death["count"]), (queue, "expired", 1))
        self.assertIs(type(death["time"]), datetime)

    @pytest.mark.rabbitmq_only("quorum queues are replicated, and the embedded broker is alone")
    async def test_decodes_a_delivery_count(self) -> None:
        """A quorum queue's x-delivery-count decodes."""
        channel = await self.channel()
        queue = self.unique("quorum")
        await channel.queue_declare(queue=queue, durable=True, arguments={"x-queue-type": "quorum"})
        arrived: DeferredQueue[Any] = DeferredQueue()
        await channel.consume(queue, arrived.put, lambda: None)
        channel.publish("", queue, NO_PROPERTIES, b"again")
        first = await arrived.get()
        channel.reject(first.delivery_tag, requeue=True)
        second = await arrived.get()
        headers = second.properties.headers or {}  # RabbitMQ 4.3 adds x-acquired-count
        self.assertEqual((second.redelivered, headers["x-delivery-count"]), (True, 1))
        channel.ack(second.delivery_tag)
        await channel.queue_delete(queue=queue)

    async def test_sends_headers_as_large_as_a_frame(self) -> None:
        """Larger headers raise here: the broker would end the connection."""
        channel = await self.channel(f"{self.url}?frame_max={SMALL}")
        queue = await self.queue(channel)
        arrived = await self.consume(channel, queue)
        room = SMALL - 8 - 12 - 2 - 4 - 2 - 5  # frame, header, flags, table's length, the name, the value's length
        channel.publish("", queue, encode_properties(Properties(headers={"a": "x" * room})), b"")
        self.assertEqual((await arrived.get()).properties.headers, {"a": "x" * room})
        too_large = encode_properties(Properties(headers={"a": "x" * (room + 1)}))
        self.assertRaises(CodecError, channel.publish, "", queue, too_large, b"")
        self.assertFalse(channel.client.closed)


class ConfirmTests(AMQPTestCase):
    """Confirms, returns and acks."""

    async def test_confirms_each_message(self) -> None:
        """Each message is confirmed, alone or together with earlier ones."""
        channel = await self.channel()
        queue = await self.queue(channel)
        await channel.confirm_select()
        confirmed: set[int] = set()
        done: Deferred[None] = Deferred()

        def confirm(tag: int, multiple: bool, acknowledged: bool) -> None:
            self.assertTrue(acknowledged)
            confirmed.update(range(1, tag + 1) if multiple else [tag])
            if len(confirmed) == 200:
                done.callback(None)

        channel.on_confirm = confirm
        for _ in range(200):
            channel.publish("", queue, NO_PROPERTIES, b"x")
        await done

    async def test_full_queue_nacks(self) -> None:
        """A full queue with reject-publish has the message nacked."""
        channel = await self.channel()
        queue = await self.queue(channel, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        await channel.confirm_select()
        confirms: DeferredQueue[tuple[int, bool, bool]] = DeferredQueue()
        channel.on_confirm = lambda *confirm: confirms.put(confirm)
        for number, acknowledged in ((1, True), (2, False)):
            channel.publish("", queue, NO_PROPERTIES, b"x")
            tag, _, how = await confirms.get()
            self.assertEqual((tag, how), (number, acknowledged))

    async def test_returns_a_message_without_a_queue(self) -> None:
        """A mandatory message without a queue comes back whole, before its confirm."""
        channel = await self.channel()
        await channel.confirm_select()
        seen: DeferredQueue[Any] = DeferredQueue()
        channel.on_return = seen.put
        channel.on_confirm = lambda *confirm: seen.put(confirm)
        key, body = self.unique("nobody"), body_of(bytes(range(256)), 300_000)
        channel.publish("", key, encode_properties(Properties(correlation_id="7")), body, mandatory=True)
        returned = await seen.get()
        assert isinstance(returned, Returned)
        self.assertEqual((returned.reply_code, returned.reply_text), (312, "NO_ROUTE"))
        self.assertEqual((returned.exchange, returned.routing_key), ("", key))
        self.assertEqual(returned.properties.correlation_id, "7")
        self.assertTrue(returned.body == body)
        self.assertEqual(await seen.get(), (1, False, True))

    async def test_acked_messages_are_gone(self) -> None:
        """Rejected messages come again, and unacked ones are requeued with the channel."""
        connection = await self.connect()
        channel = await connection.open_channel()
        queue = await self.queue(channel, auto_delete=False)
        arrived: DeferredQueue[Any] = DeferredQueue()
        await channel.consume(queue, arrived.put, lambda: None)
        for number in range(4):
            channel.publish("", queue, NO_PROPERTIES, b"%d" % number)
        deliveries = [await arrived.get() for _ in range(4)]
        channel.ack(deliveries[1].delivery_tag, multiple=True)
        channel.reject(deliveries[2].delivery_tag, requeue=False)
        channel.reject(deliveries[3].delivery_tag, requeue=True)
        again = await arrived.get()
        self.assertEqual((again.body, again.redelivered), (b"3", True))
        await channel.close()
        other = await connection.open_channel()
        left = await self.consume(other, queue)
        self.assertEqual((await left.get()).body, b"3")
        self.assertEqual((await other.queue_declare(queue=queue, passive=True)).message_count, 0)


class ChannelTests(AMQPTestCase):
    """Consumers and channels that end."""

    async def test_tells_the_consumer_of_a_deleted_queue(self) -> None:
        """The consumer's owner is told (txAMQP leaves it silently dead); its channel goes on."""
        connection = await self.connect()
        channel, other = await connection.open_channel(), await connection.open_channel()
        queue = await self.queue(channel)
        cancelled: Deferred[None] = Deferred()
        await channel.consume(queue, lambda delivery: None, lambda: cancelled.callback(None))
        await other.queue_delete(queue=queue)
        await cancelled
        self.assertTrue(await self.queue(channel))

    async def test_cancelled_consumer_gets_no_delivery(self) -> None:
        """No delivery comes after the cancellation."""
        channel = await self.channel()
        queue = await self.queue(channel, auto_delete=False)
        arrived: list[Any] = []
        tag = await channel.consume(queue, arrived.append, lambda: None)
        await channel.cancel_consumer(tag)
        await channel.confirm_select()
        confirmed: Deferred[None] = Deferred()
        channel.on_confirm = lambda *confirm: confirmed.callback(None)
        channel.publish("", queue, NO_PROPERTIES, b"x")
        await confirmed
        self.assertEqual((await channel.queue_declare(queue=queue, passive=True)).message_count, 1)
        self.assertEqual(arrived, [])

    async def test_channel_error_closes_its_channel_alone(self) -> None:
        """404, 405 and 406 close their channel with the broker's words; connection and other channels go on."""
        connection = await self.connect()
        good, owner = await connection.open_channel(), await (await self.connect()).open_channel()
        queue = await self.queue(good, queue=self.unique("mine"))
        exclusive = await self.queue(owner, queue=self.unique("theirs"))
        for code, arguments in (
            (404, {"queue": self.unique("missing"), "passive": True}),
            (405, {"queue": exclusive}),
            (406, {"queue": queue, "exclusive": True, "auto_delete": False}),
        ):
            channel = await connection.open_channel()
            self.assertEqual(channel.id, 2)
            told: list[Exception] = []
            channel.on_closed = told.append
            error = await self.assertFailure(channel.queue_declare(**arguments), ChannelClosed)
            self.assertEqual(error.code, code)
            self.assertIn(arguments["queue"], error.text)
            await later()
            self.assertEqual(told, [error])
        self.assertEqual((await good.queue_declare(queue=queue, passive=True)).queue, queue)

    async def test_closes_of_both_sides_may_cross(self) -> None:
        """The number can be used again; without our close-ok it would be dead."""
        connection = await self.connect()
        for _ in range(20):
            channel = await connection.open_channel()
            refused = self.assertFailure(channel.queue_declare(queue=self.unique("q"), passive=True), AMQPError)
            await channel.close()  # written before the broker's 404 has come
            await refused
            again = await connection.open_channel()
            self.assertEqual(again.id, 1)
            await again.close()

    async def test_opens_as_many_channels_as_agreed(self) -> None:
        """As many channels as were agreed on can be open, and no more."""
        connection = await self.connect(f"{self.url}?channel_max=20")
        channels = [await connection.open_channel() for _ in range(20)]
        self.assertEqual(sorted(channel.id for channel in channels), list(range(1, 21)))
        await self.assertFailure(connection.open_channel(), AMQPError)
        await channels[7].close()
        self.assertEqual((await connection.open_channel()).id, 8)

    async def test_updates_the_secret(self) -> None:
        """RabbitMQ understands connection.update-secret (the PLAIN login does not care for the value)."""
        connection = await self.connect()
        self.addCleanup(self.flushLoggedErrors)
        channel_zero = connection.channels[0]
        answer = await channel_zero.connection_update_secret(new_secret="new", reason="expires")
        self.assertEqual(answer.method.name, "update-secret-ok")
        self.assertTrue(await connection.open_channel())

    async def test_hard_error_reaches_all_that_is_pending(self) -> None:
        """A hard error of one caller fails all pending methods with its code and text."""
        connection = await self.connect()
        channel = await connection.open_channel()
        unsupported = channel.basic_qos(prefetch_size=1)  # RabbitMQ has no prefetch by bytes
        pending = channel.queue_declare(queue="", exclusive=True)
        error = await self.assertFailure(unsupported, ConnectionClosed)
        self.assertEqual(error.code, 540)
        self.assertIs(await self.assertFailure(pending, ConnectionClosed), error)
        await connection.close()
        self.assertIs(connection.reason, error)
