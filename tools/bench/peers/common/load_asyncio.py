"""Keeps calls of an asyncio client in flight."""

from __future__ import annotations

import asyncio
import time

from load import Meter, finish, parser, wait, warm_up


async def closed_loop(call, meter, in_flight):
    """Have `in_flight` calls in progress until all are done."""
    numbers = iter(range(meter.calls))
    clock = time.perf_counter

    async def lane():
        for number in numbers:
            began = clock()
            try:
                answer = await call(number, 1)
            except Exception as error:
                meter.failed(repr(error), began)
            else:
                meter.answered(number, answer, began)

    meter.start()
    await asyncio.gather(*[lane() for _ in range(min(in_flight, meter.calls))])


async def open_loop(call, meter):
    """Begin calls at the rate, answered or not; come back when all are answered."""

    async def one(number, scheduled):
        try:
            answer = await call(number, 1)
        except Exception as error:
            meter.failed(repr(error), scheduled)
        else:
            meter.answered(number, answer, scheduled)

    meter.start()
    tasks = []
    while len(tasks) < meter.calls:
        due = meter.due()
        while len(tasks) < due:
            number = len(tasks)
            tasks.append(asyncio.create_task(one(number, meter.scheduled(number))))
        if len(tasks) < meter.calls:
            await asyncio.sleep(max(0.0, meter.scheduled(len(tasks)) - time.perf_counter()))
    await asyncio.gather(*tasks)


async def measure(options, call):
    """Warm up, call as asked for, and report."""
    few = warm_up(options)
    meter = Meter(few)
    await closed_loop(call, meter, few.in_flight)
    if meter.errors:
        raise RuntimeError(meter.problem)
    wait(options)
    meter = Meter(options)
    await (open_loop(call, meter) if options.rate else closed_loop(call, meter, options.in_flight))
    finish(options, meter)


def run(server, client, runner=asyncio.run):
    """Run the program: `server` and `client` are coroutine functions of the options; `runner` the event loop's."""
    options = parser().parse_args()

    async def serve():
        resources = await server(options)
        print("ready", flush=True)
        await asyncio.Future()  # until the process is ended
        del resources  # which were alive till here

    runner(serve() if options.verb == "server" else client(options))
