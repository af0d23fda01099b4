"""kombu on py-amqp: the RPC of kombu's tutorial, with several calls in flight on one connection.

py-amqp reads its socket whenever it publishes, and calls back from there. So callbacks only take notes: one that
published would come back to itself, to any depth, and the loop that waits for events must not overlook a note.
"""

import time
from collections import deque

from kombu import Connection, Consumer, Producer, Queue
from load_blocking import measure, run

QUEUE = Queue("bench.kombu", durable=False, auto_delete=True)
PREFETCH = 1000


def server(options):
    """Answer calls."""
    with Connection(options.broker) as connection:
        producer = Producer(connection.channel())
        requests = deque()

        def on_request(body, message):
            requests.append((body, message))

        with Consumer(connection, [QUEUE], callbacks=[on_request], prefetch_count=PREFETCH):
            print("ready", flush=True)
            while True:
                if not requests:
                    connection.drain_events()
                    continue
                body, message = requests.popleft()
                producer.publish(
                    {"sum": body["a"] + body["b"]},
                    exchange="",
                    routing_key=message.properties["reply_to"],
                    correlation_id=message.properties["correlation_id"],
                    serializer="json",
                )
                message.ack()


def client(options):
    """Call."""
    replies = Queue(exclusive=True, auto_delete=True)
    with Connection(options.broker) as connection:
        producer = Producer(connection.channel())
        waiting = {}
        answers = deque()

        def on_reply(body, message):
            answers.append((*waiting.pop(message.properties["correlation_id"]), body["sum"]))

        with Consumer(connection, [replies], callbacks=[on_reply], no_ack=True) as consumer:
            reply_to = consumer.queues[0].name

            def loop(meter, in_flight):
                begun = 0
                meter.start()
                while not meter.done:
                    while begun < meter.calls and len(waiting) < in_flight:
                        waiting[str(begun)] = begun, time.perf_counter()
                        producer.publish(
                            {"a": begun, "b": 1},
                            exchange="",
                            routing_key=QUEUE.name,
                            reply_to=reply_to,
                            correlation_id=str(begun),
                            serializer="json",
                        )
                        begun += 1
                    if not answers:
                        connection.drain_events()
                    while answers:
                        number, began, answer = answers.popleft()
                        meter.answered(number, answer, began)

            measure(options, loop)


run(server, client)
