"""Measures calls a second with and without interceptors: ``python -m tools.observing [--only KIND …] [--end END]``.

One broker, one client process, and a worker process for each kind. The kinds take turns, round by round, so that other
work on the machine meets all of them. A ratio is that of a round to the rounds without interceptors before and after
it; the medians are printed: of calls a second, and of calls a second of processor time (of client, worker and broker
together). On a machine that does nothing else, and whose processors are all in use, both are the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure

import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler
from tools.nodes.rabbitmq import RabbitMQNode
from tools.observing.kinds import CLIENT, NONE, WORKER
from tools.processes import Process, cpu_seconds

KINDS = [kind for kind in WORKER if kind != NONE]

WARM_UP = 3000
"""Calls of each kind before the first round."""


def main() -> None:
    """Measure, or serve as one of the measured workers."""
    arguments = argparse.ArgumentParser(prog="python -m tools.observing")
    arguments.add_argument("--only", nargs="+", choices=KINDS)
    arguments.add_argument("--end", choices=("client", "worker", "both"), default="both")
    arguments.add_argument("--in-flight", type=int, default=1000)
    arguments.add_argument("--calls", type=int, default=10_000, help="of a round")
    arguments.add_argument("--rounds", type=int, default=7, help="of each kind")
    arguments.add_argument("--serve", nargs=2, metavar=("KIND", "URL"), help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.serve:
        react(_serve, options.serve)
    else:
        with ExitStack() as stack:
            node = stack.enter_context(RabbitMQNode())
            kinds = [NONE, *(options.only or KINDS)]
            served = kinds if options.end != "client" else [NONE]
            workers: dict[str, int] = {}
            for kind in served:
                command = [sys.executable, "-m", "tools.observing", "--serve", kind, node.url]
                process = stack.enter_context(Process(f"worker with {kind}", command))
                process.wait_for("ready")
                workers[kind] = process.pid

            def used() -> float:
                return time.process_time() + sum(cpu_seconds(pid) for pid in (node.pid, *workers.values()) if pid)

            react(_compare, [node.url, kinds, options, used])


def _service(kind: str) -> str:
    return f"Calculator.{kind}"


async def _serve(reactor: Any, kind: str, url: str) -> None:
    service = rpc.ThriftService(Calculator, CalculatorHandler(), name=_service(kind), concurrency=1000)
    worker = rpc.Worker(url, [service], interceptors=WORKER[kind](), reactor=reactor)
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)  # its cost is its destination's
    worker.startService()
    await worker.when_serving()
    print("ready", flush=True)
    await Deferred()


async def _compare(reactor: Any, url: str, kinds: list[str], options: Any, used: Callable[[], float]) -> None:
    calls: dict[str, Callable[[int, int], Deferred[int]]] = {}
    for kind in kinds:
        at_client = CLIENT.get(kind, list)() if options.end != "worker" else []
        connection = await rpc.connect(url, interceptors=at_client, reactor=reactor)
        calls[kind] = connection.client(Calculator, name=_service(kind if options.end != "client" else NONE)).add
        await _round(calls[kind], WARM_UP, options.in_flight)
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    efficiencies: dict[str, list[float]] = {kind: [] for kind in kinds}
    for kind in _turns(kinds, options.rounds):
        before = used()
        rates[kind].append(await _round(calls[kind], options.calls, options.in_flight))
        efficiencies[kind].append(options.calls / (used() - before))
    for kind in kinds[1:]:
        print(f"{kind:12} {_shown(rates, kind)} of the rate; {_shown(efficiencies, kind)} by processor time")
    plain, efficiency = median(rates[NONE]), median(efficiencies[NONE])
    print(f"{NONE:12} {plain:,.0f} calls a second; {efficiency:,.0f} a second of processor time")


def _shown(figures: dict[str, list[float]], kind: str) -> str:
    """Return the median of the ratios to the rounds without interceptors, and between which most of them are."""
    plain = figures[NONE]
    ratios = sorted(figure / ((plain[at] + plain[at + 1]) / 2) for at, figure in enumerate(figures[kind]))
    aside = len(ratios) // 4
    return f"{median(ratios):.3f} ({ratios[aside]:.3f}–{ratios[-1 - aside]:.3f})"


def _turns(kinds: list[str], rounds: int) -> Iterator[str]:
    """Each kind once between two rounds without interceptors, so that all have the same neighbours."""
    for _ in range(rounds):
        yield from kinds
    yield NONE


async def _round(call: Callable[[int, int], Deferred[int]], calls: int, in_flight: int) -> float:
    """Make calls, so many at once; return how many ended in a second."""
    left = calls
    done: Deferred[None] = Deferred()
    pending = 0

    def begin() -> None:
        nonlocal left, pending
        left -= 1
        pending += 1
        call(2, 3).addCallback(ended).addErrback(failed)

    def ended(answer: int) -> None:
        nonlocal pending
        assert answer == 5
        pending -= 1
        if left:
            begin()
        elif not pending:
            done.callback(None)

    def failed(failure: Failure) -> None:
        if not done.called:
            done.errback(failure)

    began = time.perf_counter()
    for _ in range(min(in_flight, calls)):
        begin()
    await done
    return calls / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
