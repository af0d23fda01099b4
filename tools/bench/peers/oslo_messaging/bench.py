"""oslo.messaging: RPC over RabbitMQ in threads."""

import time
from functools import partial

import oslo_messaging
from load_blocking import in_threads, measure, run
from oslo_config import cfg

TOPIC = "bench_oslo"
TIMEOUT = 60


class Endpoint:
    """Does the work."""

    def add(self, context, a, b):
        """Add."""
        return a + b


def transport(options):
    """Open the driver for RabbitMQ, which wants a URL of its own scheme."""
    cfg.CONF([])
    url = options.broker.replace("amqp://", "rabbit://", 1).rstrip("/") + "/"
    return oslo_messaging.get_rpc_transport(cfg.CONF, url=url)


def server(options):
    """Answer calls."""
    target = oslo_messaging.Target(topic=TOPIC, server="bench")
    serving = oslo_messaging.get_rpc_server(transport(options), target, [Endpoint()], executor="threading")
    serving.start()
    print("ready", flush=True)
    while True:
        time.sleep(3600)


def client(options):
    """Call."""
    caller = oslo_messaging.get_rpc_client(transport(options), oslo_messaging.Target(topic=TOPIC), timeout=TIMEOUT)
    measure(options, partial(in_threads, lambda a, b: caller.call({}, "add", a=a, b=b)))


run(server, client)
