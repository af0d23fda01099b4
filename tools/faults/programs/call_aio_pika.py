"""aio-pika's client, of its RPC pattern on a connection that connects again by itself."""

import asyncio
import os
import sys
import time

import aio_pika
from aio_pika.patterns import RPC
from tally import CALLS, LIMIT, Tally, due

tally = Tally()


async def call(pattern, number):
    """Make one call."""
    try:
        tally.end(number, await pattern.call("bench.aio_pika", kwargs={"a": number, "b": 1}))
    except Exception as error:
        tally.end(number, error=error)


async def main():
    """Call at the pace."""
    connection = await aio_pika.connect_robust(sys.argv[1])
    pattern = await RPC.create(await connection.channel(publisher_confirms=False))
    await pattern.call("bench.aio_pika", kwargs={"a": 0, "b": 0})
    print("connected", flush=True)
    began = time.monotonic()
    tasks = []
    for number in range(CALLS):
        await asyncio.sleep(due(number, began))
        tally.begin(number)
        tasks.append(asyncio.create_task(call(pattern, number)))
    ends = time.monotonic() + LIMIT
    while tally.open and time.monotonic() < ends:
        await asyncio.sleep(0.1)
    tally.report()
    os._exit(0)


asyncio.run(main())
