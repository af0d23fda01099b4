from ssl import SSLContext

from thrift.transport.TSocket import TSocket

class TSSLSocket(TSocket):
    def __init__(self, host: str = ..., port: int = ..., *, ssl_context: SSLContext = ...) -> None: ...
