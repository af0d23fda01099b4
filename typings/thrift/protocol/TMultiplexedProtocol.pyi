from thrift.protocol.TProtocol import TProtocolBase

class TMultiplexedProtocol(TProtocolBase):
    def __init__(self, protocol: TProtocolBase, serviceName: str) -> None: ...
