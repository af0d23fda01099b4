"""``python -m tools.faults.caller URL NAME``: a client that keeps calls in progress until it is killed.

It says which its reply queue is.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

import rpc
from rpc.topology import REQUESTS
from tools.faults.probe import stub

UNDER_WAY = 4


async def main(reactor: Any, url: str, name: str) -> None:
    """Call and call."""
    connection = await rpc.connect(url)
    client = connection.client(stub(), name=name)
    await client.echo(0, 0)
    print("calling", connection._callers[REQUESTS, None].reply_queue, flush=True)

    async def lane() -> None:
        while True:
            await client.echo(1, 5)

    await gatherResults([Deferred.fromCoroutine(lane()) for _ in range(UNDER_WAY)])


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
