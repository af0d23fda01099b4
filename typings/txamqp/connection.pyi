from typing import Any, ClassVar

from txamqp.codec import Codec
from txamqp.spec import Class, Spec
from txamqp.spec import Method as SpecMethod

class Frame:
    METHOD: str
    HEADER: str
    BODY: str
    HEARTBEAT: str
    DECODERS: ClassVar[dict[str, type[Payload]]]
    channel: int
    payload: Payload
    def __init__(self, channel: int, payload: Payload) -> None: ...

class Payload:
    type: str | None
    def encode(self, enc: Codec) -> None: ...
    @staticmethod
    def decode(spec: Spec, dec: Codec) -> Payload: ...

class Method(Payload):
    method: SpecMethod
    args: tuple[Any, ...]
    def __init__(self, method: SpecMethod, *args: Any) -> None: ...

class Header(Payload):
    klass: Class
    weight: int
    size: int
    properties: dict[str, Any]
    def __init__(self, klass: Class, weight: int, size: int, **properties: Any) -> None: ...

class Body(Payload):
    content: bytes | str
    def __init__(self, content: bytes | str) -> None: ...

class Heartbeat(Payload): ...
