"""gRPC's client and server with threads, over TCP without a broker. All threads of the client share a channel.

`calc_pb2` is made of `../common/calc.proto` at installation.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

import calc_pb2
import calc_pb2_grpc
import grpc
from load_blocking import in_threads, measure, run

WORKERS = 10
"""Threads of the server: as many as in gRPC's examples, and more than calls are in flight."""


class Calculator(calc_pb2_grpc.CalculatorServicer):
    """Does the work."""

    def Add(self, request, context):
        return calc_pb2.Sum(sum=request.a + request.b)


def server(options):
    """Answer calls."""
    listening = grpc.server(ThreadPoolExecutor(WORKERS))
    calc_pb2_grpc.add_CalculatorServicer_to_server(Calculator(), listening)
    listening.add_insecure_port(urlsplit(options.broker).netloc)
    listening.start()
    print("ready", flush=True)
    listening.wait_for_termination()


def client(options):
    """Call."""
    with grpc.insecure_channel(urlsplit(options.broker).netloc) as channel:
        stub = calc_pb2_grpc.CalculatorStub(channel)

        def call(a, b):
            return stub.Add(calc_pb2.Numbers(a=a, b=b)).sum

        measure(options, partial(in_threads, call))


run(server, client)
