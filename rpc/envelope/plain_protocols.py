"""Thrift's protocols in Python, for the structs that its C extension cannot handle.

They refuse structs that are nested as deeply as the extension refuses. Stubs of compilers before 0.24 do not count the
depth themselves. And they take the Python values that the extension takes.
"""

from __future__ import annotations

from operator import index
from typing import Any

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.protocol.TProtocol import TProtocolBase, TProtocolException


class _DepthLimited(TProtocolBase):
    """Counts the structs that are open."""

    _open_structs = 0

    def readStructBegin(self) -> None:
        self._open()
        super().readStructBegin()

    def readStructEnd(self) -> None:
        super().readStructEnd()
        self._open_structs -= 1

    def writeStructBegin(self, name: str) -> None:
        self._open()
        super().writeStructBegin(name)

    def writeStructEnd(self) -> None:
        super().writeStructEnd()
        self._open_structs -= 1

    def _open(self) -> None:
        self._open_structs += 1
        if self._open_structs > self.DEFAULT_RECURSION_DEPTH:
            raise TProtocolException(TProtocolException.DEPTH_LIMIT, "structs are nested too deeply")


class _ValuesOfTheExtension(TProtocolBase):
    """Takes the values that the extension takes as a whole number, ``string`` or ``binary``, and refuses all else."""

    def writeByte(self, byte: Any) -> None:
        super().writeByte(index(byte))

    def writeI16(self, i16: Any) -> None:
        super().writeI16(index(i16))

    def writeI32(self, i32: Any) -> None:
        super().writeI32(index(i32))

    def writeI64(self, i64: Any) -> None:
        super().writeI64(index(i64))

    def writeString(self, str_val: Any) -> None:
        self.writeBinary(str_val)  # bytes have been checked to be UTF-8

    def writeBinary(self, str_val: Any) -> None:
        if isinstance(str_val, str):
            str_val = str_val.encode()
        elif not isinstance(str_val, bytes):
            raise TypeError(f"expected bytes, {type(str_val).__name__} found")
        super().writeBinary(str_val)


class PlainBinaryProtocol(_DepthLimited, _ValuesOfTheExtension, TBinaryProtocol):
    """The binary protocol."""


class PlainCompactProtocol(_DepthLimited, _ValuesOfTheExtension, TCompactProtocol):
    """The compact protocol."""
