from thrift.transport.TTransport import TTransportBase

class THttpClient(TTransportBase):
    def __init__(self, uri_or_host: str) -> None: ...
