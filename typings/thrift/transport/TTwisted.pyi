from collections.abc import Callable
from typing import Any

from thrift.protocol.TProtocol import TProtocolFactory
from thrift.Thrift import TProcessor
from thrift.transport.TTransport import TTransportBase
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, ServerFactory
from twisted.protocols.basic import Int32StringReceiver

class TMessageSenderTransport(TTransportBase):
    def __init__(self) -> None: ...
    def sendMessage(self, message: bytes) -> Any: ...

class TCallbackTransport(TMessageSenderTransport):
    func: Callable[[bytes], Any]
    def __init__(self, func: Callable[[bytes], Any]) -> None: ...

class ThriftClientProtocol(Int32StringReceiver):
    client: Any
    started: Deferred[Any]
    def __init__(
        self, client_class: type, iprot_factory: TProtocolFactory, oprot_factory: TProtocolFactory | None = ...
    ) -> None: ...

class ThriftServerProtocol(Int32StringReceiver): ...

class ThriftServerFactory(ServerFactory):
    processor: TProcessor
    def __init__(
        self, processor: TProcessor, iprot_factory: TProtocolFactory, oprot_factory: TProtocolFactory | None = ...
    ) -> None: ...

class ThriftClientFactory(ClientFactory):
    client_class: type
    def __init__(
        self, client_class: type, iprot_factory: TProtocolFactory, oprot_factory: TProtocolFactory | None = ...
    ) -> None: ...
