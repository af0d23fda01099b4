"""Thrift's protocols in Python, for the structs that its C extension cannot handle.

They refuse structs that are nested as deeply as the extension refuses. Stubs of compilers before 0.24 do not count the
depth themselves.
"""

from __future__ import annotations

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


class PlainBinaryProtocol(_DepthLimited, TBinaryProtocol):
    """The binary protocol."""


class PlainCompactProtocol(_DepthLimited, TCompactProtocol):
    """The compact protocol."""
