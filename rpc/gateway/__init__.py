"""The gateway: unmodified Thrift clients, of any language, call services behind the broker.

They speak framed TCP, THeader or HTTP, as to any server of Thrift. The gateway reads the head of each message and no
more: arguments and results pass as bytes, so it needs no stubs.
"""

from rpc.gateway.options import GatewayOptions
from rpc.gateway.server import Gateway

__all__ = ["Gateway", "GatewayOptions"]
