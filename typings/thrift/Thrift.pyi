from typing import Any

from thrift.protocol.TProtocol import TProtocolBase

class TType:
    STOP: int
    VOID: int
    BOOL: int
    BYTE: int
    I08: int
    DOUBLE: int
    I16: int
    I32: int
    I64: int
    STRING: int
    UTF7: int
    STRUCT: int
    MAP: int
    SET: int
    LIST: int
    UUID: int
    _VALUES_TO_NAMES: tuple[str, ...]

class TFrozenDict(dict[Any, Any]): ...

class TMessageType:
    CALL: int
    REPLY: int
    EXCEPTION: int
    ONEWAY: int

class TProcessor:
    def process(self, iprot: TProtocolBase, oprot: TProtocolBase) -> Any: ...

class TException(Exception):
    message: str | None
    def __init__(self, message: str | None = ...) -> None: ...

class TApplicationException(TException):
    UNKNOWN: int
    UNKNOWN_METHOD: int
    INVALID_MESSAGE_TYPE: int
    WRONG_METHOD_NAME: int
    BAD_SEQUENCE_ID: int
    MISSING_RESULT: int
    INTERNAL_ERROR: int
    PROTOCOL_ERROR: int
    INVALID_TRANSFORM: int
    INVALID_PROTOCOL: int
    UNSUPPORTED_CLIENT_TYPE: int
    type: int
    def __init__(self, type: int = ..., message: str | None = ...) -> None: ...
    def read(self, iprot: TProtocolBase) -> None: ...
    def write(self, oprot: TProtocolBase) -> None: ...
