"""pika's Twisted adapter: bare messages, with the least of an RPC layer that makes calls of them."""

from struct import Struct

import pika
from load_twisted import measure, run
from pika.adapters.twisted_connection import TwistedProtocolConnection
from pika.exceptions import AMQPError
from twisted.internet import protocol, reactor
from twisted.internet.defer import Deferred

QUEUE = "bench.pika"
PREFETCH = 1000

_numbers = Struct("!ii")
_sum = Struct("!i")


async def open_channel(options):
    """Connect, and open a channel."""
    parameters = pika.URLParameters(options.broker)
    creator = protocol.ClientCreator(reactor, TwistedProtocolConnection, parameters)
    connection = await creator.connectTCP(parameters.host, parameters.port)
    await connection.ready
    return connection, await connection.channel()


async def server(options):
    """Answer calls."""
    _, channel = await open_channel(options)
    await channel.basic_qos(prefetch_count=PREFETCH)
    await channel.queue_declare(queue=QUEUE, auto_delete=True)
    queue, _ = await channel.basic_consume(queue=QUEUE)

    def on_request(delivered):
        _, method, properties, body = delivered
        a, b = _numbers.unpack(body)
        channel.basic_publish(
            exchange="",
            routing_key=properties.reply_to,
            body=_sum.pack(a + b),
            properties=pika.BasicProperties(correlation_id=properties.correlation_id),
        )
        channel.basic_ack(method.delivery_tag)
        consume(queue, on_request)

    consume(queue, on_request)


async def client(options):
    """Call."""
    connection, channel = await open_channel(options)
    declared = await channel.queue_declare(queue="", exclusive=True)
    reply_to = declared.method.queue
    queue, _ = await channel.basic_consume(queue=reply_to, auto_ack=True)
    waiting = {}

    def on_reply(delivered):
        _, _, properties, body = delivered
        waiting.pop(properties.correlation_id).callback(_sum.unpack(body)[0])
        consume(queue, on_reply)

    def call(a, b):
        reply = waiting[str(a)] = Deferred()
        channel.basic_publish(
            exchange="",
            routing_key=QUEUE,
            body=_numbers.pack(a, b),
            properties=pika.BasicProperties(correlation_id=str(a), reply_to=reply_to),
        )
        return reply

    consume(queue, on_reply)
    await measure(options, call)
    await connection.close()


def consume(queue, function):
    """Have `function` called with the next delivery, unless the connection is closed before."""
    queue.get().addCallback(function).addErrback(lambda failure: failure.trap(AMQPError) and None)


run(server, client)
