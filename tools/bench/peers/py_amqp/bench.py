"""py-amqp, the successor of py-amqplib, as its documentation uses it: it sends one message and waits for it."""

from functools import partial
from struct import Struct
from urllib.parse import urlsplit

import amqp
from load_blocking import in_turn, measure, run

QUEUE = "bench.py_amqp"
PUBLISHED = "bench.py_amqp.published"

_numbers = Struct("!ii")
_sum = Struct("!i")


def connect(options, **further):
    """A connection, not yet open."""
    broker = urlsplit(options.broker)
    return amqp.Connection(broker.netloc.rpartition("@")[2], broker.username, broker.password, **further)


def server(options):
    """Answer calls."""
    with connect(options) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=False, auto_delete=True)

        def on_request(message):
            a, b = _numbers.unpack(message.body)
            properties = {"correlation_id": message.correlation_id}
            channel.basic_publish(amqp.Message(_sum.pack(a + b), **properties), routing_key=message.reply_to)
            channel.basic_ack(message.delivery_tag)

        channel.basic_consume(QUEUE, callback=on_request)
        print("ready", flush=True)
        while True:
            connection.drain_events()


def client(options):
    """Call."""
    with connect(options) as connection:
        channel = connection.channel()
        reply_to = channel.queue_declare(exclusive=True).queue
        answers = {}

        def on_reply(message):
            answers[message.correlation_id] = _sum.unpack(message.body)[0]

        channel.basic_consume(reply_to, callback=on_reply, no_ack=True)

        def call(a, b):
            properties = {"correlation_id": str(a), "reply_to": reply_to}
            channel.basic_publish(amqp.Message(_numbers.pack(a, b), **properties), routing_key=QUEUE)
            while str(a) not in answers:
                connection.drain_events()
            return answers.pop(str(a))

        measure(options, partial(in_turn, call))


def publish(options):
    """Publish messages that the broker confirms: with `confirm_publish`, basic_publish waits for that."""
    with connect(options, confirm_publish=True) as connection:
        channel = connection.channel()
        channel.queue_declare(PUBLISHED, durable=True, auto_delete=False)

        def confirmed(a, b):
            channel.basic_publish(amqp.Message(_numbers.pack(a, b), delivery_mode=2), routing_key=PUBLISHED)
            return a + b

        measure(options, partial(in_turn, confirmed))
        channel.queue_delete(PUBLISHED)


run(server, client, publish)
