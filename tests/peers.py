"""A client on pika, as other people write it: a program that knows nothing of this framework but the wire.

``python -m tests.peers URL KEY``; its output is JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.protocol.TJSONProtocol import TJSONProtocol
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TMemoryBuffer

from generated.calculator import Calculator as CalculatorStub

Calculator: Any = CalculatorStub


PROTOCOLS = {
    None: TBinaryProtocol,
    "application/vnd.apache.thrift.binary": TBinaryProtocol,
    "application/vnd.apache.thrift.compact": TCompactProtocol,
    "application/vnd.apache.thrift.json": TJSONProtocol,
}


class PikaCaller:
    """A client written by hand, as in another language: one request and one reply at a time."""

    def __init__(self, channel: BlockingChannel, key: str) -> None:
        self.channel = channel
        self.key = key
        self.replies: str = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue

    def call(self, content_type: str | None, correlation_id: str | None, name: str, arguments: Any, seqid: int) -> Any:
        """Call a method; return unexpected properties of the reply, its header, and the protocol to read on with."""
        buffer = TMemoryBuffer()
        request: Any = PROTOCOLS[content_type](buffer)
        request.writeMessageBegin(name, TMessageType.CALL, seqid)
        arguments.write(request)
        request.writeMessageEnd()
        properties = pika.BasicProperties(
            content_type=content_type, reply_to=self.replies, correlation_id=correlation_id, expiration="5000"
        )
        self.channel.basic_publish("rpc", self.key, buffer.getvalue(), properties, mandatory=True)
        while True:
            delivered, answer, body = self.channel.basic_get(self.replies, auto_ack=True)
            if delivered is not None:
                break
            time.sleep(0.005)  # a blocking program has nothing else to do
        reply: Any = PROTOCOLS[content_type](TMemoryBuffer(body))
        odd = [] if answer.correlation_id == correlation_id else [f"correlation id {answer.correlation_id!r}"]
        if PROTOCOLS[answer.content_type] is not PROTOCOLS[content_type]:
            odd.append(f"content type {answer.content_type!r}")
        return odd, reply.readMessageBegin(), reply

    def add(self, content_type: str | None, correlation_id: str | None) -> list[Any]:
        """Call ``add(40, 2)``."""
        odd, header, reply = self.call(content_type, correlation_id, "add", Calculator.add_args(40, 2), 77)
        result = Calculator.add_result()
        result.read(reply)
        return [odd, header, result.success]

    def unknown(self, content_type: str | None, correlation_id: str | None) -> list[Any]:
        """Call a method that there is not."""
        odd, header, reply = self.call(content_type, correlation_id, "subtract", Calculator.ping_args(), 78)
        exception = TApplicationException()
        exception.read(reply)
        return [odd, header, exception.type]


def run_pika(url: str, key: str) -> None:
    """Call in each protocol, with and without correlation id; print the replies."""
    connection = pika.BlockingConnection(pika.URLParameters(f"{url}/%2F"))
    caller = PikaCaller(connection.channel(), key)
    for content_type in PROTOCOLS:
        for correlation_id in ("any text", None):
            print(json.dumps(caller.add(content_type, correlation_id)))
            print(json.dumps(caller.unknown(content_type, correlation_id)))
    connection.close()


if __name__ == "__main__":
    run_pika(*sys.argv[1:])
