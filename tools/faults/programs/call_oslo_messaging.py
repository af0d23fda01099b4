"""oslo.messaging's client: a thread for each call, as its callers are threads."""

import os
import sys
import threading
import time

import oslo_messaging
from oslo_config import cfg
from tally import CALLS, LIMIT, Tally, due

cfg.CONF([])
url = sys.argv[1].replace("amqp://", "rabbit://", 1).rstrip("/") + "/"
transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
client = oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic="bench_oslo"))
tally = Tally()


def call(number):
    """Make one call."""
    try:
        tally.end(number, client.call({}, "add", a=number, b=1))
    except Exception as error:
        tally.end(number, error=error)


client.call({}, "add", a=0, b=0)
print("connected", flush=True)
began = time.monotonic()
for number in range(CALLS):
    time.sleep(due(number, began))
    tally.begin(number)
    threading.Thread(target=call, args=(number,), daemon=True).start()
ends = time.monotonic() + LIMIT
while tally.open and time.monotonic() < ends:
    time.sleep(0.1)
tally.report()
os._exit(0)  # threads that never come back would keep the process
