"""Thrift's own TTwisted with the accelerated protocol, over TCP without a broker.

`work` is compiled of `../common/work.thrift` at installation.
"""

from urllib.parse import urlsplit

from load_twisted import measure, run
from thrift.protocol.TBinaryProtocol import TBinaryProtocolAcceleratedFactory
from thrift.transport import TTwisted
from twisted.internet import protocol, reactor
from work import Bench
from zope.interface import implementer


@implementer(Bench.Iface)
class Handler:
    """Does the work; the other methods are not called here."""

    def add(self, a, b):
        return a + b


async def server(options):
    """Answer calls."""
    factory = TTwisted.ThriftServerFactory(Bench.Processor(Handler()), TBinaryProtocolAcceleratedFactory())
    address = urlsplit(options.broker)
    reactor.listenTCP(address.port, factory, interface=address.hostname)


async def client(options):
    """Call."""
    creator = protocol.ClientCreator(
        reactor, TTwisted.ThriftClientProtocol, Bench.Client, TBinaryProtocolAcceleratedFactory()
    )
    address = urlsplit(options.broker)
    connection = await creator.connectTCP(address.hostname, address.port)
    await measure(options, connection.client.add)


run(server, client)
