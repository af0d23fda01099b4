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
    in_own_threads([call] * in_flight, meter, in_flight)


def in_own_threads(calls, meter, in_flight):
    """A thread for each of `calls`, which makes one after the other. The main thread alone where there is one."""
    if in_flight == 1:
        in_turn(calls[0], meter, in_flight)
        return
    numbers = iter(range(meter.calls))  # its next() is a single step for other threads
    counting = Lock()

    def one_after_another(call):
        for number in numbers:
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
        deque(threads.map(one_after_another, calls), maxlen=0)


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


def run(server, client, publish=None, options=None):
    """Run the program: each is a function of the options; `server` does not come back."""
    options = options or parser(*(["publish"] if publish else [])).parse_args()
    {"server": server, "client": client, "publish": publish}[options.verb](options)
