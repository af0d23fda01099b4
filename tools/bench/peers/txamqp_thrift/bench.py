"""txamqp.contrib.thrift with the accelerated protocol: the ancestor.

txAMQP ships no definition of AMQP, so AMQP_SPEC names ours. `work` is compiled of `../common/work.thrift` at
installation.
"""

import os
from urllib.parse import urlsplit

import txamqp.spec
from load_twisted import measure, run
from thrift.protocol.TBinaryProtocol import TBinaryProtocolAcceleratedFactory
from twisted.internet import reactor
from twisted.internet.protocol import ClientCreator
from txamqp.client import TwistedDelegate
from txamqp.contrib.thrift.protocol import ThriftAMQClient
from work import Bench
from zope.interface import implementer

REQUESTS, REPLIES = "bench.services", "bench.responses"
KEY = "bench"
protocols = TBinaryProtocolAcceleratedFactory()


@implementer(Bench.Iface)
class Handler:
    """Does the work; the other methods are not called here."""

    def add(self, a, b):
        return a + b


async def connect(options):
    """Connect and log in."""
    broker = urlsplit(options.broker)
    specification = txamqp.spec.load(os.environ["AMQP_SPEC"])
    creator = ClientCreator(reactor, ThriftAMQClient, TwistedDelegate(), "/", specification)
    connection = await creator.connectTCP(broker.hostname, broker.port)
    await connection.authenticate(broker.username, broker.password)
    return connection


async def server(options):
    """Answer calls."""
    connection = await connect(options)
    await connection.createThriftServer(
        REPLIES,
        REQUESTS,
        KEY,
        Bench.Processor(Handler()),
        "bench.txamqp",
        iprot_factory=protocols,
        oprot_factory=protocols,
    )


async def client(options):
    """Call."""
    connection = await connect(options)
    channel = await connection.channel(1)
    await channel.channel_open()
    for exchange in (REQUESTS, REPLIES):
        await channel.exchange_declare(exchange=exchange, type="direct")
    caller = await connection.createThriftClient(
        REPLIES, REQUESTS, KEY, Bench.Client, iprot_factory=protocols, oprot_factory=protocols
    )
    await measure(options, caller.add)


run(server, client)
