"""Shared by the peers' clients: 300 calls at an even pace, and the outcome of each.

It runs in the peers' own environments, so it needs nothing but Python.
"""

import json
import sys
import threading
import time

CALLS = int(sys.argv[2])
RATE = float(sys.argv[3])
LIMIT = float(sys.argv[4])
"""Seconds after which a call that has not returned never will."""


class Tally:
    """Counts the outcomes of calls; threads may share it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._began = {}
        self._over = False
        self.answered = self.failed = self.wrong = 0
        self.slowest = 0.0
        self.problem = ""

    def begin(self, number):
        """A call begins."""
        with self._lock:
            self._began[number] = time.monotonic()
            if number % 10 == 0:
                print("begun", number, flush=True)

    def end(self, number, answer=None, error=None):
        """A call add(number, 1) has returned, or failed."""
        with self._lock:
            if self._over:
                return
            self.slowest = max(self.slowest, time.monotonic() - self._began.pop(number))
            if error is not None:
                self.failed += 1
                self.problem = self.problem or repr(error)[:200]
            elif answer != number + 1:
                self.wrong += 1
            else:
                self.answered += 1

    @property
    def open(self):
        """Calls that have not returned, and may."""
        with self._lock:
            return len(self._began)

    def report(self):
        """Print the counts; later answers do not count."""
        with self._lock:
            self._over = True
            figures = {
                "calls": CALLS,
                "answered": self.answered,
                "failed": self.failed,
                "wrong": self.wrong,
                "never": CALLS - self.answered - self.failed - self.wrong,
                "slowest": self.slowest,
                "problem": self.problem,
            }
            print(json.dumps(figures), flush=True)


def due(number, began):
    """Seconds until call `number` is to begin."""
    return max(0.0, began + number / RATE - time.monotonic())
