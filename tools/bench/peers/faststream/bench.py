"""FastStream's request and response over RabbitMQ, on uvloop."""

import json

import uvloop
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from load_asyncio import measure, run

QUEUE = RabbitQueue("bench.faststream", auto_delete=True)
PREFETCH = 1000


async def server(options):
    """Answer calls."""
    broker = RabbitBroker(options.broker, logger=None, default_channel=Channel(prefetch_count=PREFETCH))

    @broker.subscriber(QUEUE)
    async def add(a: int, b: int) -> int:
        return a + b

    await broker.start()
    return broker


async def client(options):
    """Call."""
    broker = RabbitBroker(options.broker, logger=None)
    await broker.start()

    async def call(a, b):
        reply = await broker.request({"a": a, "b": b}, QUEUE, timeout=30)
        return json.loads(reply.body)

    await measure(options, call)
    await broker.stop()


run(server, client, uvloop.run)
