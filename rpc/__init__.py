"""Thrift RPC over AMQP 0-9-1 (RabbitMQ), on Twisted: the public names."""

from rpc.client.connection import Connection, connect
from rpc.client.reply_values import RawReply, Reply
from rpc.client.stub_client import with_options, with_reply
from rpc.context import CallContext, current_call
from rpc.errors import (
    AMQPError,
    AuthenticationFailed,
    BrokerBlocked,
    BrokerUnreachable,
    CallTimedOut,
    ConfigurationError,
    ConnectionLost,
    DeclarationRefused,
    InvalidReply,
    InvalidRequest,
    MessageTooLarge,
    Outcome,
    Overloaded,
    RPCError,
    ServiceUnavailable,
    VirtualHostRefused,
    WorkerLost,
)
from rpc.frozen import FrozenDict
from rpc.hosting import Worker
from rpc.monotonic import use_monotonic_time
from rpc.worker.service import Deduplicate, ThriftService

__all__ = [
    "AMQPError",
    "AuthenticationFailed",
    "BrokerBlocked",
    "BrokerUnreachable",
    "CallContext",
    "CallTimedOut",
    "ConfigurationError",
    "Connection",
    "ConnectionLost",
    "DeclarationRefused",
    "Deduplicate",
    "FrozenDict",
    "InvalidReply",
    "InvalidRequest",
    "MessageTooLarge",
    "Outcome",
    "Overloaded",
    "RPCError",
    "RawReply",
    "Reply",
    "ServiceUnavailable",
    "ThriftService",
    "VirtualHostRefused",
    "Worker",
    "WorkerLost",
    "connect",
    "current_call",
    "use_monotonic_time",
    "with_options",
    "with_reply",
]
