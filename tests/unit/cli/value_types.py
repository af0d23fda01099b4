"""For tests of values: types of the calculator's IDL, and their conversion."""

from __future__ import annotations

from generated.calculator import Calculator
from rpc import idl
from rpc.cli.values import Values
from rpc.idl import BaseType, EnumType, StructType

OPERATION = EnumType("calculator.Operation")
WORK = StructType("calculator.Work")
NUMBERS = StructType("calculator.Numbers")
STRING, BINARY, BOOL, DOUBLE, I32, I64 = map(BaseType, ("string", "binary", "bool", "double", "i32", "i64"))

service = idl.load(Calculator)
assert service is not None
values = Values(service.interface)
