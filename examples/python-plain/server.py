"""A worker over AMQP: it consumes the queue of a service, and replies to the queues of the callers.

It needs pika, Thrift, and the code that Thrift's compiler generates (``thrift --gen py``).
"""

import logging

import pika
from protocols import CONTENT_TYPE, PROTOCOLS, protocol_of
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TMemoryBuffer

LARGEST = 16 * 1024 * 1024
"""The largest reply in bytes. A broker closes the channel (406) of a message that is larger than its
max_message_size, and would then deliver the request again."""


def serve(channel, stub, service, handler, exchange="rpc"):
    """Serve a service when the channel consumes (``channel.start_consuming()``).

    :param channel: of a ``pika.BlockingConnection``. Its requests run one after another.
    :param stub: the generated module of the service.
    :param service: its name on the broker.
    """
    queue = f"rpc.{service}"
    processor = stub.Processor(handler)

    def on_request(channel, delivery, properties, body):
        respond(channel, properties, answer(processor, properties, body))
        channel.basic_ack(delivery.delivery_tag)  # after the reply: a worker that dies before loses no call

    channel.exchange_declare(exchange, "direct", durable=True)
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "classic"})
    channel.queue_bind(queue, exchange, service)
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(queue, on_request)


def answer(processor, properties, body):
    """Run the handler, and return the bytes of the reply; empty for a oneway method."""
    name = protocol_of(properties.content_type)
    if name is None:
        said = f"unknown content type {properties.content_type}"
        return exception("binary", "", 0, TApplicationException.INVALID_PROTOCOL, said)
    try:
        method, kind, seqid = PROTOCOLS[name].getProtocol(TMemoryBuffer(body)).readMessageBegin()
    except Exception:  # Thrift raises nearly anything
        logging.exception("a request cannot be read")
        return exception(name, "", 0, TApplicationException.PROTOCOL_ERROR, "the request is not a Thrift message")
    output = TMemoryBuffer()
    try:
        processor.process(*(PROTOCOLS[name].getProtocol(buffer) for buffer in (TMemoryBuffer(body), output)))
        reply = output.getvalue()
    except Exception:  # the generated code has written half of a reply, if any
        logging.exception("%s failed", method)
        reply = exception(name, method, seqid, TApplicationException.INTERNAL_ERROR, "Internal error")
    if len(reply) > LARGEST:
        reply = exception(name, method, seqid, TApplicationException.INTERNAL_ERROR, "the reply is too large")
    return b"" if kind == TMessageType.ONEWAY else reply  # the generated code answers an unknown oneway method


def exception(protocol, method, seqid, kind, text):
    """Return the bytes of an EXCEPTION. One for a request whose beginning cannot be read has no name, and seqid 0."""
    output = TMemoryBuffer()
    writer = PROTOCOLS[protocol].getProtocol(output)
    writer.writeMessageBegin(method, TMessageType.EXCEPTION, seqid)
    TApplicationException(kind, text).write(writer)
    writer.writeMessageEnd()
    return output.getvalue()


def respond(channel, request, reply):
    """Publish a reply to the queue that a request names."""
    # Only queues that the broker named: a caller could name the queue of others.
    if not reply or not (request.reply_to or "").startswith("amq.gen-"):
        return
    known = request.content_type if protocol_of(request.content_type) and request.content_type else None
    properties = pika.BasicProperties(
        content_type=known or f"{CONTENT_TYPE}binary",
        correlation_id=request.correlation_id,
        message_id=request.message_id,
        expiration=request.expiration,
        type=request.type,
        delivery_mode=1,
    )
    channel.basic_publish("", request.reply_to, reply, properties)
