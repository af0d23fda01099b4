# Made by `thrift-rpc compile`; it writes over what is changed here.
from typing import Any as _Any, ClassVar as _ClassVar, Final as _Final

class Summary:
    """What was counted over some documents."""
    documents: int
    """How many documents there are."""
    bytes: int
    """Their length in bytes, added up."""
    words: int
    """Their words, added up: runs of bytes that are not ASCII white space."""
    meanBytes: float
    """Bytes in a document on the average; 0 when there is none."""
    largestKey: str | None
    """The key of the longest document (the first of equals); absent when there is none."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, documents: int, bytes: int, words: int, meanBytes: float, largestKey: str | None = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...
