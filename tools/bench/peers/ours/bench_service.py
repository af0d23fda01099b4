"""The service as a user writes it, for ``twistd rpc-worker bench_service:service``."""

import os
import time

import sampler
from generated.work import Bench
from generated.work.ttypes import Progress
from twisted.internet import reactor
from zope.interface import implementer

import rpc

PREFETCH = 1000
"""As many as the other peers' servers take."""


@implementer(Bench.Iface)
class Handler:
    """Does the work."""

    def __init__(self):
        self.zipped = 0

    def add(self, a, b):
        return a + b

    def produce(self, size):
        return bytes(size)

    def zip(self):
        self.zipped += 1

    def progress(self):
        return Progress(self.zipped, time.perf_counter())


service = rpc.ThriftService(Bench, Handler(), concurrency=PREFETCH)


def __getattr__(name):
    """``service_7`` is the same service under the name ``Bench7``: for workers with many."""
    stem, _, number = name.partition("_")
    if stem != "service" or not number.isdecimal():
        raise AttributeError(name)
    return rpc.ThriftService(Bench, Handler(), concurrency=PREFETCH, name=f"Bench{number}")


if "BENCH_SAMPLES" in os.environ:
    reactor.callWhenRunning(sampler.begin, os.environ["BENCH_SAMPLES"])
