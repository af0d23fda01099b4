# Made by `thrift-rpc compile`; it writes over what is changed here.
from typing import Any as _Any, ClassVar as _ClassVar, Final as _Final

class SharedStruct:
    """One line of a log: what was noted under a key."""
    key: int | None
    """The log id the value was noted under."""
    value: str | None
    """The result, as text."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, key: int | None = ..., value: str | None = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...
