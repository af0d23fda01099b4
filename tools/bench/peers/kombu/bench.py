"""kombu on py-amqp: the RPC of kombu's tutorial, with several calls in flight on one connection.

With ``--threads``, each thread has a connection, and one call in flight.

py-amqp reads its socket whenever it publishes, and calls back from there. So callbacks only take notes: one that
published would come back to itself, to any depth, and the loop that waits for events must not overlook a note.
"""

import time
from collections import deque
from contextlib import ExitStack, contextmanager
from functools import partial

from kombu import Connection, Consumer, Producer, Queue
from load import parser
from load_blocking import in_own_threads, measure, run

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


@contextmanager
def caller(options):
    """Open a connection; its function makes one call at a time."""
    with Connection(options.broker) as connection:
        producer = Producer(connection.channel())
        answers = {}

        def on_reply(body, message):
            answers[message.properties["correlation_id"]] = body["sum"]

        with Consumer(
            connection, [Queue(exclusive=True, auto_delete=True)], callbacks=[on_reply], no_ack=True
        ) as replies:
            reply_to = replies.queues[0].name

            def call(a, b):
                producer.publish(
                    {"a": a, "b": b},
                    exchange="",
                    routing_key=QUEUE.name,
                    reply_to=reply_to,
                    correlation_id=str(a),
                    serializer="json",
                )
                while str(a) not in answers:
                    connection.drain_events()
                return answers.pop(str(a))

            yield call


def client_in_threads(options):
    """Call from as many threads as calls are in flight."""
    with ExitStack() as stack:
        calls = [stack.enter_context(caller(options)) for _ in range(options.in_flight)]
        measure(options, partial(in_own_threads, calls))


command_line = parser()
command_line.add_argument("--threads", action="store_true", help="a thread and a connection for each call in flight")
arguments = command_line.parse_args()
run(server, client_in_threads if arguments.threads else client, options=arguments)
