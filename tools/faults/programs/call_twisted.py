"""The clients on Twisted: txamqp.contrib.thrift, or this project."""

import os
import sys
import time
from urllib.parse import urlsplit

from tally import CALLS, LIMIT, Tally, due
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

tally = Tally()


async def ours(url):
    """This project's client: `add` may be run twice, and its author says so."""
    from generated.work import Bench

    import rpc

    connection = await rpc.connect(url)
    return connection.client(Bench, idempotent=["add"]).add


async def txamqp(url):
    """txAMQP's client of the Thrift stub. It has no timeout, and does not connect again."""
    import txamqp.spec
    from thrift.protocol.TBinaryProtocol import TBinaryProtocolAcceleratedFactory
    from twisted.internet.protocol import ClientCreator
    from txamqp.client import TwistedDelegate
    from txamqp.contrib.thrift.protocol import ThriftAMQClient
    from work import Bench

    protocols = TBinaryProtocolAcceleratedFactory()
    broker = urlsplit(url)
    specification = txamqp.spec.load(os.environ["AMQP_SPEC"])
    creator = ClientCreator(reactor, ThriftAMQClient, TwistedDelegate(), "/", specification)
    connection = await creator.connectTCP(broker.hostname, broker.port)
    await connection.authenticate(broker.username, broker.password)
    channel = await connection.channel(1)
    await channel.channel_open()
    for exchange in ("bench.services", "bench.responses"):
        await channel.exchange_declare(exchange=exchange, type="direct")
    caller = await connection.createThriftClient(
        "bench.responses",
        "bench.services",
        "bench",
        Bench.Client,
        iprot_factory=protocols,
        oprot_factory=protocols,
    )
    return caller.add


def call(add, number):
    """Make one call."""
    tally.begin(number)
    try:
        asked = add(number, 1)
    except Exception as error:
        tally.end(number, error=error)
        return
    asked.addCallbacks(lambda answer: tally.end(number, answer), lambda failure: tally.end(number, error=failure.value))


async def main():
    """Call at the pace."""
    add = await {"ours": ours, "txamqp_thrift": txamqp}[sys.argv[5]](sys.argv[1])
    await add(0, 0)
    print("connected", flush=True)
    began = time.monotonic()
    for number in range(CALLS):
        await deferLater(reactor, due(number, began))
        call(add, number)
    ends = time.monotonic() + LIMIT
    while tally.open and time.monotonic() < ends:
        await deferLater(reactor, 0.1)
    tally.report()
    os._exit(0)


def failed(failure):
    """Say why there is nothing to report."""
    failure.printTraceback()
    os._exit(1)


reactor.callWhenRunning(lambda: Deferred.fromCoroutine(main()).addErrback(failed))
reactor.run()
