"""Keeps calls of a Twisted client in flight."""

from __future__ import annotations

import sys
import time

from load import Meter, finish, parser, wait, warm_up
from twisted.internet import reactor
from twisted.internet.defer import Deferred


def closed_loop(call, meter, in_flight):
    """Have `in_flight` calls in progress until all are done. Fires then."""
    finished = Deferred()
    numbers = iter(range(meter.calls))
    clock = time.perf_counter

    def begin():
        number = next(numbers, None)
        if number is not None:
            began = clock()
            call(number, 1).addCallbacks(answered, failed, (number, began), None, (began,))

    def answered(answer, number, began):
        meter.answered(number, answer, began)
        go_on()

    def failed(failure, began):
        meter.failed(failure, began)
        go_on()

    def go_on():
        if meter.done:
            finished.callback(None)
        else:
            begin()

    meter.start()
    for _ in range(min(in_flight, meter.calls)):
        begin()
    return finished


def open_loop(call, meter):
    """Begin calls at the rate, answered or not. Fires when all are answered."""
    finished = Deferred()
    begun = 0

    def begin_due():
        nonlocal begun
        due = meter.due()
        while begun < due:
            scheduled = meter.scheduled(begun)
            call(begun, 1).addCallbacks(answered, failed, (begun, scheduled), None, (scheduled,))
            begun += 1
        if begun < meter.calls:
            reactor.callLater(max(0.0, meter.scheduled(begun) - time.perf_counter()), begin_due)

    def answered(answer, number, scheduled):
        meter.answered(number, answer, scheduled)
        if meter.done:
            finished.callback(None)

    def failed(failure, scheduled):
        meter.failed(failure, scheduled)
        if meter.done:
            finished.callback(None)

    meter.start()
    begin_due()
    return finished


async def measure(options, call):
    """Warm up, call as asked for, and report."""
    few = warm_up(options)
    meter = Meter(few)
    await closed_loop(call, meter, few.in_flight)
    if meter.errors:
        raise RuntimeError(meter.problem)
    wait(options)
    meter = Meter(options)
    await (open_loop(call, meter) if options.rate else closed_loop(call, meter, options.in_flight))
    finish(options, meter)


def run(server, client, options=None):
    """Run the program on Twisted's reactor: `server` and `client` are coroutine functions of the options."""
    options = options or parser().parse_args()
    problems = []
    forever = Deferred()  # kept here, or the garbage collector would take it and all that waits for it

    def failed(failure):
        problems.append(failure)
        failure.printTraceback(sys.stderr)

    async def main():
        if options.verb == "server":
            await server(options)
            print("ready", flush=True)
            await forever
        await client(options)

    def begin():
        Deferred.fromCoroutine(main()).addErrback(failed).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    raise SystemExit(bool(problems))
