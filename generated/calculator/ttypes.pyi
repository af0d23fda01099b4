# Made by `thrift-rpc compile`; it writes over what is changed here.
from typing import Any as _Any, ClassVar as _ClassVar, Final as _Final

class Operation:
    """What can be done with two numbers."""
    ADD: _Final = 1
    SUBTRACT: _Final = 2
    MULTIPLY: _Final = 3
    DIVIDE: _Final = 4
    """Whole-number division; the divisor may not be 0."""
    _VALUES_TO_NAMES: _ClassVar[dict[int, str]]
    _NAMES_TO_VALUES: _ClassVar[dict[str, int]]

class Work:
    """Two numbers and what to do with them."""
    num1: int
    """The left operand."""
    num2: int | None
    """The right operand."""
    op: int
    """What to do with them."""
    comment: str | None
    """For whoever reads the log."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, num1: int = ..., num2: int | None = ..., op: int = ..., comment: str | None = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...

class Numbers:
    """Numbers to be added up."""
    values: list[int]
    """May be empty, not absent."""
    comment: str | None
    """For whoever reads the log."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, values: list[int], comment: str | None = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...

class InvalidOperation(Exception):
    """The operation cannot be done with these numbers."""
    @property
    def whatOp(self) -> int | None:
        """The number of the operation that was asked for; see `Operation`."""
        ...
    @property
    def why(self) -> str | None:
        """What is wrong with it."""
        ...
    thrift_spec: _ClassVar[_Any]
    def __init__(self, whatOp: int | None = ..., why: str | None = ...) -> None: ...
    @classmethod
    def read(cls, iprot: _Any) -> InvalidOperation: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...
