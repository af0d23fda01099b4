"""nats-py: bare messages through a NATS server, on uvloop."""

from struct import Struct

import nats
import uvloop
from load_asyncio import measure, run

SUBJECT = "bench"
TIMEOUT = 30

_numbers = Struct("!ii")
_sum = Struct("!i")


async def server(options):
    """Answer calls."""
    connection = await nats.connect(options.broker)

    async def add(message):
        a, b = _numbers.unpack(message.data)
        await message.respond(_sum.pack(a + b))

    await connection.subscribe(SUBJECT, "workers", cb=add)
    await connection.flush()
    return connection


async def client(options):
    """Call."""
    connection = await nats.connect(options.broker)

    async def call(a, b):
        reply = await connection.request(SUBJECT, _numbers.pack(a, b), timeout=TIMEOUT)
        return _sum.unpack(reply.data)[0]

    await measure(options, call)
    await connection.close()


run(server, client, uvloop.run)
