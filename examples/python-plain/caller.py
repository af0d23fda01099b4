"""Calls over AMQP, from a program that waits: requests to the exchange of the workers, replies from a queue of its own.

It needs pika, Thrift, and the code that Thrift's compiler generates (``thrift --gen py``).
"""

import time
import uuid

import pika
import pika.exceptions
from protocols import CONTENT_TYPE, PROTOCOLS
from thrift.Thrift import TMessageType
from thrift.transport.TTransport import TMemoryBuffer


class CallFailed(Exception):
    """A call has no answer; the message says why, and whether it was maybe executed."""


class Caller:
    """Makes calls on a connection, one after another. It belongs to one thread."""

    def __init__(self, connection, exchange="rpc"):
        """:param connection: a ``pika.BlockingConnection``."""
        probe = connection.channel()
        probe.exchange_declare(exchange, passive=True)  # a publish to a missing exchange would close the channel
        probe.close()
        self._connection = connection
        self._exchange = exchange
        self._channel = connection.channel()
        self._channel.confirm_delivery()
        self._replies = self._channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
        self._channel.basic_consume(self._replies, self._replied, auto_ack=True)
        self._awaited = None
        self._reply = None

    def call(self, stub, service, method, *arguments, protocol="binary", timeout=30.0):
        """Call, and return the result; for a oneway method, when the broker has the request.

        :param stub: the generated module of the service.
        :param service: its name on the broker.
        :raises CallFailed: there is no answer. Otherwise the errors of the IDL, and ``TApplicationException``.
        """
        output = TMemoryBuffer()
        client = stub.Client(None, PROTOCOLS[protocol].getProtocol(output))
        getattr(client, f"send_{method}")(*arguments)
        oneway = not hasattr(client, f"recv_{method}")
        self._awaited, self._reply = uuid.uuid4().hex, None  # Thrift for Python gives every call the seqid 0
        properties = pika.BasicProperties(
            content_type=CONTENT_TYPE + protocol,
            correlation_id=self._awaited,
            message_id=self._awaited,
            type=f"{service}.{method}",
            reply_to=None if oneway else self._replies,
            # A oneway request must not be lost, so it does not expire.
            expiration=None if oneway else str(int(timeout * 1000)),
            delivery_mode=2 if oneway else 1,
        )
        try:
            self._channel.basic_publish(self._exchange, service, output.getvalue(), properties, mandatory=True)
        except pika.exceptions.UnroutableError:
            raise CallFailed(f"no worker serves {service}") from None
        except pika.exceptions.NackError:
            raise CallFailed(f"the queue of {service} is full: the request was rejected") from None
        return None if oneway else self._result(stub, method, protocol, timeout)

    def _result(self, stub, method, protocol, timeout):
        deadline = time.monotonic() + timeout
        while self._reply is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise CallFailed(f"no reply within {timeout} s: the call was maybe executed")
            self._connection.process_data_events(time_limit=left)
        name, kind, _ = PROTOCOLS[protocol].getProtocol(TMemoryBuffer(self._reply)).readMessageBegin()
        # A worker that cannot read the beginning of a request answers with an exception without a name.
        if name != method and not (kind == TMessageType.EXCEPTION and name == ""):
            raise CallFailed(f"the reply is of the method {name}")
        return getattr(stub.Client(PROTOCOLS[protocol].getProtocol(TMemoryBuffer(self._reply))), f"recv_{method}")()

    def _replied(self, _channel, _delivery, properties, body):
        # A reply can come twice, or too late. A keepalive is no reply.
        if properties.correlation_id == self._awaited and "rpc-keepalive" not in (properties.headers or {}):
            self._reply = body
