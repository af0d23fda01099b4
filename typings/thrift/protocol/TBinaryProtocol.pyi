from thrift.protocol.TProtocol import TProtocolBase, TProtocolFactory
from thrift.transport.TTransport import TTransportBase

class TBinaryProtocol(TProtocolBase):
    VERSION_MASK: int
    VERSION_1: int
    TYPE_MASK: int
    strictRead: bool
    strictWrite: bool
    def __init__(
        self,
        trans: TTransportBase,
        strictRead: bool = ...,
        strictWrite: bool = ...,
        *,
        string_length_limit: int | None = ...,
        container_length_limit: int | None = ...,
    ) -> None: ...

class TBinaryProtocolFactory(TProtocolFactory):
    def __init__(
        self,
        strictRead: bool = ...,
        strictWrite: bool = ...,
        *,
        string_length_limit: int | None = ...,
        container_length_limit: int | None = ...,
    ) -> None: ...

class TBinaryProtocolAccelerated(TBinaryProtocol):
    def __init__(
        self,
        trans: TTransportBase,
        strictRead: bool = ...,
        strictWrite: bool = ...,
        *,
        string_length_limit: int | None = ...,
        container_length_limit: int | None = ...,
        fallback: bool = ...,
    ) -> None: ...

class TBinaryProtocolAcceleratedFactory(TProtocolFactory):
    def __init__(
        self, string_length_limit: int | None = ..., container_length_limit: int | None = ..., fallback: bool = ...
    ) -> None: ...
