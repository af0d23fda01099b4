"""gRPC's asyncio client and server, over TCP without a broker.

`calc_pb2` is made of `../common/calc.proto` at installation.
"""

from urllib.parse import urlsplit

import calc_pb2
import calc_pb2_grpc
import grpc
from load_asyncio import measure, run


class Calculator(calc_pb2_grpc.CalculatorServicer):
    """Does the work."""

    async def Add(self, request, context):
        return calc_pb2.Sum(sum=request.a + request.b)


async def server(options):
    """Answer calls."""
    listening = grpc.aio.server()
    calc_pb2_grpc.add_CalculatorServicer_to_server(Calculator(), listening)
    listening.add_insecure_port(urlsplit(options.broker).netloc)
    await listening.start()
    return listening


async def client(options):
    """Call."""
    async with grpc.aio.insecure_channel(urlsplit(options.broker).netloc) as channel:
        stub = calc_pb2_grpc.CalculatorStub(channel)

        async def call(a, b):
            return (await stub.Add(calc_pb2.Numbers(a=a, b=b))).sum

        await measure(options, call)


run(server, client)
