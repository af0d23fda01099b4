"""The work of every peer's client, and its report in the end."""

from __future__ import annotations

import argparse
import json
import sys
import time

PERCENTILES = (50, 90, 99, 99.9)


def parser(*verbs: str) -> argparse.ArgumentParser:
    """The common command line; a peer may add options to it, and verbs."""
    options = argparse.ArgumentParser()
    options.add_argument("verb", choices=["server", "client", *verbs])
    options.add_argument("--broker", required=True, help="URL of the broker, or of the server where there is no broker")
    options.add_argument("--calls", type=int, default=1000)
    options.add_argument("--in-flight", type=int, default=1)
    options.add_argument("--rate", type=float, default=0, help="calls begun a second, answered or not; 0: closed loop")
    options.add_argument("--seconds", type=float, default=3, help="how long calls are begun at the rate")
    options.add_argument("--latencies", action="store_true")
    options.add_argument("--timeline", action="store_true")
    options.add_argument("--marks", type=int, default=0, help="print 'mark N' whenever so many more calls are settled")
    options.add_argument("--warm-up", type=int, default=None, help="calls before those that count; default: a tenth")
    options.add_argument("--wait", action="store_true", help="print 'ready' and begin at a line on standard input")
    return options


def warm_up(options: argparse.Namespace) -> argparse.Namespace:
    """The same with few calls, of which nothing is told."""
    few = argparse.Namespace(**vars(options))
    calls, in_flight = (int(options.rate * options.seconds), 20) if options.rate else (options.calls, options.in_flight)
    few.calls, few.in_flight = options.warm_up or max(1, min(calls // 10, 10_000)), in_flight
    few.rate = few.marks = 0
    few.latencies = few.timeline = False
    return few


class Meter:
    """Counts the answers of one run, and takes the times."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.calls = int(options.rate * options.seconds) if options.rate else options.calls
        self.rate = options.rate
        self.settled = 0
        self.errors = 0
        self.problem = ""
        self.latencies = [] if options.latencies or options.rate else None
        self.timeline = [] if options.timeline else None
        self.marks = options.marks
        self._step = max(1, self.calls // 100)

    def start(self) -> None:
        """The first call comes now."""
        self._cpu = time.process_time()
        self.began = time.perf_counter()

    def due(self) -> int:
        """How many calls should have been begun by now, at the rate."""
        return min(self.calls, int((time.perf_counter() - self.began) * self.rate) + 1)

    def scheduled(self, number: int) -> float:
        """When call `number` is to begin, at the rate. Its latency counts from there, however late it was."""
        return self.began + number / self.rate

    def answered(self, number: int, answer: int, began: float) -> None:
        """The call add(number, 1) has its answer."""
        if answer != number + 1:
            self.failed(f"add({number}, 1) is said to be {answer!r}", began)
            return
        self._settled(began)

    def failed(self, problem: object, began: float) -> None:
        """A call has failed."""
        self.errors += 1
        self.problem = self.problem or str(problem)
        self._settled(began)

    def _settled(self, began: float) -> None:
        self.settled += 1
        if self.latencies is not None:
            self.latencies.append(time.perf_counter() - began)
        if self.timeline is not None and self.settled % self._step == 0:
            self.timeline.append(round(time.perf_counter() - self.began, 6))
        if self.marks and self.settled % self.marks == 0:
            print("mark", self.settled, flush=True)

    @property
    def done(self) -> bool:
        """Whether every call is settled."""
        return self.settled >= self.calls

    def report(self) -> None:
        """The last call is settled: say how it went."""
        result = {
            "calls": self.calls,
            "errors": self.errors,
            "problem": self.problem,
            "seconds": time.perf_counter() - self.began,
            "cpu_seconds": time.process_time() - self._cpu,
        }
        if self.latencies is not None:
            self.latencies.sort()
            last = len(self.latencies) - 1
            result["latencies"] = {f"{each:g}": self.latencies[round(each / 100 * last)] for each in PERCENTILES}
        if self.timeline is not None:
            result["timeline"] = self.timeline
        print(json.dumps(result), flush=True)


def wait(options: argparse.Namespace) -> None:
    """With ``--wait``, say that all is ready, and wait for a line."""
    if options.wait:
        print("ready", flush=True)
        sys.stdin.readline()


def finish(options: argparse.Namespace, meter: Meter) -> None:
    """Report; with ``--wait``, wait for another line, so that the runner can look at all processes first."""
    meter.report()
    if options.wait:
        sys.stdin.readline()
