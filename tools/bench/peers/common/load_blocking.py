"""Measures clients that block."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from load import Meter, finish, parser, wait, warm_up


def in_turn(call, meter, in_flight):
    """One call after the other: all that a single blocking caller can do."""
    if in_flight != 1:
        raise SystemExit("this client makes one call at a time")
    clock = time.perf_counter
    meter.start()
    for number in range(meter.calls):
        began = clock()
        meter.answered(number, call(number, 1), began)


def in_threads(call, meter, in_flight):
    """A thread for each call in flight."""
    counting = Lock()

    def one(number):
        began = time.perf_counter()
        try:
            answer = call(number, 1)
        except Exception as error:
            with counting:
                meter.failed(repr(error), began)
        else:
            with counting:
                meter.answered(number, answer, began)

    with ThreadPoolExecutor(in_flight) as threads:
        meter.start()
        deque(threads.map(one, range(meter.calls)), maxlen=0)


def measure(options, loop):
    """Warm up, call as asked for, and report. `loop` makes a meter's calls, so many in flight."""
    if options.rate:
        raise SystemExit("this client has no open loop")
    few = warm_up(options)
    meter = Meter(few)
    loop(meter, few.in_flight)
    if meter.errors:
        raise SystemExit(meter.problem)
    wait(options)
    meter = Meter(options)
    loop(meter, options.in_flight)
    finish(options, meter)


def run(server, client, publish=None):
    """Run the program: each is a function of the options; `server` does not come back."""
    options = parser(*(["publish"] if publish else [])).parse_args()
    {"server": server, "client": client, "publish": publish}[options.verb](options)
