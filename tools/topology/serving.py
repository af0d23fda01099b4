"""The worker process of a topology: ``python -m tools.topology.serving URL SERVICES WORKERS QUEUE_TYPE``.

It holds WORKERS workers, each with a connection of its own. It prints ``serving`` with the seconds from the start of
the workers until all services are served, and runs until it is killed.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

import rpc
from tools.topology.stub import make_services


async def main(reactor: Any, url: str, services: str, workers: str, queue_type: str) -> None:
    """Serve."""
    hosted = [rpc.Worker(url, make_services(int(services), queue_type)) for _ in range(int(workers))]
    began = reactor.seconds()
    for worker in hosted:
        worker.startService()
    await gatherResults([worker.when_serving() for worker in hosted])
    print(f"serving {reactor.seconds() - began:.3f}", flush=True)
    await Deferred[None]()


if __name__ == "__main__":
    react(lambda reactor, *arguments: Deferred.fromCoroutine(main(reactor, *arguments)), sys.argv[1:])
