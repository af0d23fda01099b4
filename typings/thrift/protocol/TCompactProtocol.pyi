from thrift.protocol.TProtocol import TProtocolBase, TProtocolFactory
from thrift.transport.TTransport import TTransportBase

class TCompactProtocol(TProtocolBase):
    PROTOCOL_ID: int
    VERSION: int
    def __init__(
        self, trans: TTransportBase, string_length_limit: int | None = ..., container_length_limit: int | None = ...
    ) -> None: ...

class TCompactProtocolFactory(TProtocolFactory):
    def __init__(self, string_length_limit: int | None = ..., container_length_limit: int | None = ...) -> None: ...

class TCompactProtocolAccelerated(TCompactProtocol):
    def __init__(
        self,
        trans: TTransportBase,
        string_length_limit: int | None = ...,
        container_length_limit: int | None = ...,
        *,
        fallback: bool = ...,
    ) -> None: ...

class TCompactProtocolAcceleratedFactory(TProtocolFactory):
    def __init__(
        self, string_length_limit: int | None = ..., container_length_limit: int | None = ..., fallback: bool = ...
    ) -> None: ...
