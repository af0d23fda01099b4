"""The control service, by which every worker describes itself, and the client that asks.

:class:`Control` asks workers. The answers are structs of ``rpc/control/idl/control.thrift``, re-exported here. A worker
answers unless it was made with ``control=False``.
"""

from rpc.client.gathered import Answer, BadAnswer, End
from rpc.client.stub_source import use_source
from rpc.control.answers import Answers
from rpc.control.asking import Control
from rpc.control.names import NAME
from rpc.control.reflecting import reflect
from rpc.control.stubs.control.ttypes import (
    Latency,
    MethodDescription,
    MethodStats,
    Pong,
    ServiceDescription,
    ServiceState,
    ServiceStats,
    Status,
    UnknownKey,
    WorkerDescription,
    WorkerStats,
)

__all__ = [
    "NAME",
    "Answer",
    "Answers",
    "BadAnswer",
    "Control",
    "End",
    "Latency",
    "MethodDescription",
    "MethodStats",
    "Pong",
    "ServiceDescription",
    "ServiceState",
    "ServiceStats",
    "Status",
    "UnknownKey",
    "WorkerDescription",
    "WorkerStats",
]

use_source(reflect)
