"""nameko: RPC over RabbitMQ on eventlet."""

# ruff: noqa: E402  # eventlet must patch before anything that opens sockets is imported

import eventlet

eventlet.monkey_patch()

import time
from collections import deque

from load_blocking import measure, run
from nameko.containers import ServiceContainer
from nameko.rpc import rpc
from nameko.standalone.rpc import ClusterRpcProxy

WORKERS = 100


def configuration(options):
    """Nameko's own."""
    return {"AMQP_URI": options.broker, "max_workers": WORKERS, "PREFETCH_COUNT": WORKERS}


class Calculator:
    """Does the work."""

    name = "bench_nameko"

    @rpc
    def add(self, a, b):
        """Add."""
        return a + b


def server(options):
    """Answer calls."""
    container = ServiceContainer(Calculator, configuration(options))
    container.start()
    print("ready", flush=True)
    container.wait()


def client(options):
    """Call: nameko's own way to have several calls in flight is to send them, and to ask for the results later."""
    with ClusterRpcProxy(configuration(options)) as proxy:
        call = proxy.bench_nameko.add.call_async

        def loop(meter, in_flight):
            waiting = deque()
            begun = 0
            meter.start()
            while not meter.done:
                while begun < meter.calls and len(waiting) < in_flight:
                    waiting.append((begun, time.perf_counter(), call(begun, 1)))
                    begun += 1
                number, began, reply = waiting.popleft()
                meter.answered(number, reply.result(), began)

        measure(options, loop)


run(server, client)
