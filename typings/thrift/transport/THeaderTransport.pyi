from typing import Final

from thrift.transport.TTransport import TMemoryBuffer

HARD_MAX_FRAME_SIZE: Final[int]

class THeaderClientType:
    HEADERS: Final = 0

class THeaderSubprotocolID:
    BINARY: Final = 0
    COMPACT: Final = 2

class THeaderTransformID:
    ZLIB: Final = 1

class THeaderTransport:
    sequence_id: int
    flags: int
    _protocol_id: int
    _transport: TMemoryBuffer
    def __init__(self, transport: TMemoryBuffer, allowed_client_types: tuple[int, ...]) -> None: ...
    def set_max_frame_size(self, size: int) -> None: ...
    def set_max_decompressed_size(self, size: int) -> None: ...
    def readFrame(self, req_sz: int) -> None: ...
    def get_headers(self) -> dict[bytes, bytes]: ...
    def write(self, buf: bytes) -> None: ...
    def flush(self) -> None: ...
    def _apply_read_transform(self, transform_id: int, payload: bytes) -> bytes: ...
    @property
    def protocol_id(self) -> int: ...
