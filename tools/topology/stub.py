"""The services of a topology: one stub, served under many names."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Numbers
from services.calculator import CalculatorHandler

STUB = Calculator


class Handler(CalculatorHandler):
    """A calculator whose ``sum`` never answers: it ends when the call is cancelled."""

    def sum(self, numbers: Numbers) -> Any:
        return Deferred()


def names(count: int) -> list[str]:
    """The names of so many services."""
    return [f"Calculator-{number}" for number in range(count)]


def make_services(count: int, queue_type: str = "classic") -> list[rpc.ThriftService]:
    """So many services."""
    return [rpc.ThriftService(STUB, Handler(), name=name, queue_type=queue_type) for name in names(count)]
