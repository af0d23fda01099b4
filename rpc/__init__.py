"""Thrift RPC over AMQP 0-9-1 (RabbitMQ), on Twisted: the public names."""

from rpc.client.client_call import ClientCall
from rpc.client.connection import Connection, connect
from rpc.client.reply_values import RawReply, Reply
from rpc.client.stub_client import with_reply
from rpc.client.with_options import with_options
from rpc.context import CallContext, current_call
from rpc.control.serving import ControlOptions
from rpc.errors import (
    AccessDenied,
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
from rpc.interceptors import ClientInterceptor, IClientInterceptor, IWorkerInterceptor, WorkerInterceptor
from rpc.keys import Keys
from rpc.monotonic import use_monotonic_time
from rpc.version import __version__
from rpc.worker.call import Ending, WorkerCall
from rpc.worker.caller_limits import CallerLimits
from rpc.worker.readiness import Readiness
from rpc.worker.service import Deduplicate, ThriftService

__all__ = [
    "AMQPError",
    "AccessDenied",
    "AuthenticationFailed",
    "BrokerBlocked",
    "BrokerUnreachable",
    "CallContext",
    "CallTimedOut",
    "CallerLimits",
    "ClientCall",
    "ClientInterceptor",
    "ConfigurationError",
    "Connection",
    "ConnectionLost",
    "ControlOptions",
    "DeclarationRefused",
    "Deduplicate",
    "Ending",
    "FrozenDict",
    "IClientInterceptor",
    "IWorkerInterceptor",
    "InvalidReply",
    "InvalidRequest",
    "Keys",
    "MessageTooLarge",
    "Outcome",
    "Overloaded",
    "RPCError",
    "RawReply",
    "Readiness",
    "Reply",
    "ServiceUnavailable",
    "ThriftService",
    "VirtualHostRefused",
    "Worker",
    "WorkerCall",
    "WorkerInterceptor",
    "WorkerLost",
    "__version__",
    "connect",
    "current_call",
    "use_monotonic_time",
    "with_options",
    "with_reply",
]
