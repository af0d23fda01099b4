"""This project, as its users have it: the worker is ``twistd -n rpc-worker``, the client comes of ``rpc.connect``.

`generated` is compiled of `../common/work.thrift` by ``thrift-rpc compile`` at installation.
"""

import asyncio
import json
import os
import sys
from functools import partial
from itertools import cycle
from pathlib import Path

import sampler
from load import parser

BROADCAST = "rpc.broadcast"
POLL = 0.02


def names(services):
    """Attributes of `bench_service`, and the names of their services."""
    return [("service", "Bench"), *((f"service_{number}", f"Bench{number}") for number in range(1, services))]


def serve(options):
    """Become ``twistd -n rpc-worker``."""
    os.chdir(Path(__file__).parent)
    if options.samples:
        os.environ["BENCH_SAMPLES"] = options.samples
    twistd = Path(sys.executable).with_name("twistd")
    services = [f"bench_service:{attribute}" for attribute, _ in names(options.services)]
    os.execv(twistd, ["twistd", "-n", "--pidfile=", "rpc-worker", "--broker", options.broker, *services])


async def client(options):
    """Call, publish (oneway calls, which the broker confirms) or watch a worker drain its queue."""
    from generated.work import Bench
    from load_twisted import measure

    import rpc

    connections = [await rpc.connect(options.broker) for _ in range(options.connections)]
    further = {"timeout": options.timeout} if options.timeout else {}
    if options.verb == "drain":
        await drain(connections[0].client(Bench, exchange=BROADCAST, **further), options.calls)
    else:
        if options.samples:
            sampler.begin(options.samples)
        benches = [
            connection.client(Bench, name=name, **further)
            for _, name in names(options.services)
            for connection in connections
        ]
        await measure(options, in_turn([make_call(bench, options) for bench in benches]))
    for connection in connections:
        await connection.close()


async def asyncio_client(options):
    """Call through ``rpc.aio``."""
    from generated.work import Bench
    from load_asyncio import measure

    import rpc.aio

    async with rpc.aio.connect(options.broker) as connection:
        await measure(options, connection.client(Bench).add)


def blocking_client(options):
    """Call through ``rpc.blocking``, from as many threads as calls are in flight."""
    from generated.work import Bench
    from load_blocking import in_threads, measure

    import rpc.blocking

    with rpc.blocking.connect(options.broker) as connection:
        call = connection.client(Bench).add
        measure(options, partial(in_threads, call))


def run_client(options):
    """Run the client of the door that was asked for."""
    if options.door == "asyncio":
        asyncio.run(asyncio_client(options))
    elif options.door == "uvloop":
        import uvloop

        uvloop.run(asyncio_client(options))
    elif options.door == "blocking":
        blocking_client(options)
    else:
        from load_twisted import run

        run(None, client, options)


def in_turn(calls):
    """One of `calls` after the other."""
    if len(calls) == 1:
        return calls[0]
    turns = cycle(calls)

    def call(a, b):
        return next(turns)(a, b)

    return call


def make_call(bench, options):
    """The method that is called with two numbers and fires with their sum."""
    size = options.size
    if options.verb == "publish":
        return lambda a, b: bench.zip().addCallback(lambda _: a + b)
    if size:
        return lambda a, b: bench.produce(size).addCallback(lambda answer: a + b if len(answer) == size else answer[:9])
    return bench.add


async def drain(worker, calls):
    """Wait for a worker, and ask it, past its queue, how many oneway calls it has run by when."""
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    import rpc

    print("ready", flush=True)
    first = last = None
    while last is None or last.zipped < calls:
        await deferLater(reactor, POLL)
        try:
            last = await worker.progress()
        except rpc.ServiceUnavailable:
            continue
        first = first or last
    result = {"calls": last.zipped - first.zipped, "errors": 0, "problem": "", "seconds": last.seconds - first.seconds}
    print(json.dumps({**result, "cpu_seconds": 0.0}), flush=True)


options = parser("publish", "drain")
options.add_argument("--connections", type=int, default=1)
options.add_argument("--services", type=int, default=1)
options.add_argument("--size", type=int, default=0, help="bytes of a reply; 0: the calls are add()")
options.add_argument("--samples", help="file for what the processor time was spent on")
options.add_argument("--door", choices=["twisted", "asyncio", "uvloop", "blocking"], default="twisted")
options.add_argument("--timeout", type=float, default=0, help="seconds; 0: what users get")
arguments = options.parse_args()
if arguments.verb == "server":
    serve(arguments)
run_client(arguments)
