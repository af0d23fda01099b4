"""The calculator of the Thrift tutorial, with methods that return their argument to test a transport."""

from __future__ import annotations

from zope.interface import implementer

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Numbers, Operation, Work
from generated.shared.ttypes import SharedStruct

NOTED = 10_000
"""The number of results that are kept. The oldest are dropped first, since no caller says when it has read one."""


@implementer(Calculator.Iface)
class CalculatorHandler:
    """Answers at once. Results are kept in this process: another worker of the service does not have them."""

    def __init__(self) -> None:
        self._noted: dict[int, str] = {}

    def ping(self) -> None:
        pass

    def add(self, num1: int, num2: int) -> int:
        return _operate(Operation.ADD, num1, num2)

    def calculate(self, logid: int, w: Work) -> int:
        result = _operate(w.op, w.num1, w.num2)
        self._noted.pop(logid, None)
        self._noted[logid] = str(result)
        if len(self._noted) > NOTED:
            del self._noted[next(iter(self._noted))]
        return result

    def getStruct(self, key: int) -> SharedStruct:
        return SharedStruct(key, self._noted.get(key, ""))

    def sum(self, numbers: Numbers) -> int:
        return _within(64, Operation.ADD, sum(numbers.values))

    def echo(self, work: Work) -> Work:
        return work

    def blob(self, data: bytes) -> bytes:
        return data

    def zip(self) -> None:
        pass


def _operate(op: int, num1: int, num2: int | None) -> int:
    if num2 is None:  # a struct's field need not be set
        raise InvalidOperation(op, "num2 is missing")
    if op == Operation.ADD:
        result = num1 + num2
    elif op == Operation.SUBTRACT:
        result = num1 - num2
    elif op == Operation.MULTIPLY:
        result = num1 * num2
    elif op == Operation.DIVIDE:
        result = _quotient(num1, num2)
    else:
        known = ", ".join(f"{name} ({number})" for name, number in vars(Operation).items() if not name.startswith("_"))
        raise InvalidOperation(op, f"no such operation; there are {known}")
    return _within(32, op, result)


def _quotient(dividend: int, divisor: int) -> int:
    """Divide as most languages with an i32 do: towards zero, where Python takes the floor."""
    if divisor == 0:
        raise InvalidOperation(Operation.DIVIDE, "division by 0")
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _within(bits: int, op: int, result: int) -> int:
    if not -(2 ** (bits - 1)) <= result < 2 ** (bits - 1):
        raise InvalidOperation(op, f"the result {result} does not fit into {bits} bits")
    return result


service = rpc.ThriftService(Calculator, CalculatorHandler())
