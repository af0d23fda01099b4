"""aio-pika's RPC pattern, on uvloop."""

import aio_pika
import uvloop
from aio_pika.patterns import RPC
from load_asyncio import measure, run

METHOD = "bench.aio_pika"
PREFETCH = 1000


async def add(*, a, b):
    """Do the work."""
    return a + b


async def connect(options):
    """Open a channel, and the pattern on it."""
    connection = await aio_pika.connect_robust(options.broker)
    channel = await connection.channel(publisher_confirms=False)
    await channel.set_qos(PREFETCH)
    return connection, await RPC.create(channel)


async def server(options):
    """Answer calls."""
    connection, pattern = await connect(options)
    await pattern.register(METHOD, add, auto_delete=True)
    return connection, pattern


async def client(options):
    """Call."""
    connection, pattern = await connect(options)
    await measure(options, lambda a, b: pattern.call(METHOD, kwargs={"a": a, "b": b}))
    await pattern.close()
    await connection.close()


run(server, client, uvloop.run)
