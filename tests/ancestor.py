"""A client and a server of ``txamqp.contrib.thrift``, as they come: programs that know nothing of this framework.

``python -m tests.ancestor client PORT VHOST SPEC EXCHANGE KEY PROTOCOL COUNT`` prints how many answers were right;
``python -m tests.ancestor server PORT VHOST SPEC EXCHANGE KEY QUEUE PROTOCOL`` prints a line when it serves.
Both log in by txAMQP's default mechanism, which is AMQPLAIN, and use the exchange "responses" for replies.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import txamqp.spec
from thrift.protocol.TBinaryProtocol import TBinaryProtocolFactory
from thrift.protocol.TCompactProtocol import TCompactProtocolFactory
from thrift.protocol.TJSONProtocol import TJSONProtocolFactory
from thrift.transport import TTransport
from twisted.internet import defer, reactor
from twisted.internet.protocol import ClientCreator
from txamqp.client import TwistedDelegate
from txamqp.contrib.thrift.client import ThriftTwistedDelegate  # type: ignore[import-untyped]
from txamqp.contrib.thrift.protocol import ThriftAMQClient  # type: ignore[import-untyped]

from generated.calculator import Calculator as CalculatorStub
from services.calculator import CalculatorHandler

Calculator: Any = CalculatorStub
loop: Any = reactor
transports: Any = TTransport

RESPONSES = "responses"
PROTOCOLS = {
    "binary": TBinaryProtocolFactory,
    "compact": TCompactProtocolFactory,
    "json": TJSONProtocolFactory,
}


class TextBuffer(TTransport.TMemoryBuffer):
    """A buffer that takes text.

    With Python 3, txAMQP turns a body that is UTF-8 into text, and a message in JSON always is. Thrift's buffers then
    raise a TypeError. With Python 2, for which it was written, both were one type.
    """

    def __init__(self, value: Any = None, offset: int = 0) -> None:
        super().__init__(value.encode() if isinstance(value, str) else value, offset)


def connected(port: str, vhost: str, spec: str, delegate: Any) -> Any:
    """Connect, log in, and open channel 1."""

    @defer.inlineCallbacks
    def log_in(client: Any) -> Any:
        yield client.authenticate("guest", "guest")
        return client

    creator = ClientCreator(loop, ThriftAMQClient, delegate, vhost, txamqp.spec.load(spec))
    return creator.connectTCP("127.0.0.1", int(port)).addCallback(log_in)


@defer.inlineCallbacks
def call(port: str, vhost: str, spec: str, exchange: str, key: str, protocol: str, count: str) -> Any:
    """Call ``add``, all at once."""
    client = yield connected(port, vhost, spec, ThriftTwistedDelegate())
    channel = yield client.channel(1)
    yield channel.channel_open()
    yield channel.exchange_declare(exchange=exchange, type="direct")
    yield channel.exchange_declare(exchange=RESPONSES, type="direct")
    factory = PROTOCOLS[protocol]()
    calculator = yield client.createThriftClient(
        RESPONSES, exchange, key, Calculator.Client, iprot_factory=factory, oprot_factory=factory
    )
    answers = yield defer.gatherResults([calculator.add(number, 1) for number in range(int(count))])
    print(json.dumps(sum(answer == number + 1 for number, answer in enumerate(answers))), flush=True)
    loop.stop()


@defer.inlineCallbacks
def serve(port: str, vhost: str, spec: str, exchange: str, key: str, queue: str, protocol: str) -> Any:
    """Serve until the process is ended."""
    client = yield connected(port, vhost, spec, TwistedDelegate())
    factory = PROTOCOLS[protocol]()
    processor = Calculator.Processor(CalculatorHandler())
    yield client.createThriftServer(
        RESPONSES, exchange, key, processor, queue, iprot_factory=factory, oprot_factory=factory
    )
    print("serving", flush=True)


def failed(failure: Any) -> None:
    """Print the error, and end."""
    failure.printTraceback(sys.stderr)
    loop.stop()


if __name__ == "__main__":
    transports.TMemoryBuffer = TextBuffer
    program, *arguments = sys.argv[1:]
    begun = call(*arguments) if program == "client" else serve(*arguments)
    begun.addErrback(failed)
    loop.run()
