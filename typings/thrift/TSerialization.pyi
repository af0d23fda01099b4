from typing import TypeVar

from thrift.protocol.TBase import TBase
from thrift.protocol.TProtocol import TProtocolFactory

_T = TypeVar("_T", bound=TBase)

def serialize(thrift_object: TBase, protocol_factory: TProtocolFactory = ...) -> bytes: ...
def deserialize(base: _T, buf: bytes, protocol_factory: TProtocolFactory = ...) -> _T: ...
