"""A worker whose requests come by any queue, delivered before or not."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException, TMessageType

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import Numbers, Work
from rpc.envelope import CODECS, read_application_exception
from rpc.messages import Properties
from tests.unit.wire import Published
from tests.unit.worker.served import INSTANCE, OWN, SHARED
from tests.unit.worker.test_server import ServingTestCase

Calculator: Any = CalculatorStub
BINARY = CODECS["binary"]

DIRECT_KEY = f"Calculator@{INSTANCE}"
QUARANTINE_QUEUE = "rpc.Calculator.quarantine"


class AgainTestCase(ServingTestCase):
    """A service whose deliveries are of any queue, delivered before or not."""

    def request(
        self, name: str = "calculate", consumer: str = SHARED, *, again: bool = False, key: str = "key", **given: Any
    ) -> int:
        """Deliver a request, and return its tag."""
        arguments = {"calculate": (1, Work()), "add": (1, 2), "sum": (Numbers([]),)}.get(name, ())
        struct = getattr(Calculator, f"{name}_args")(*arguments)
        kind = TMessageType.ONEWAY if name == "zip" else TMessageType.CALL
        properties = Properties(**({"reply_to": "amq.gen-replies", "correlation_id": "c"} | given))
        key = DIRECT_KEY if consumer == OWN and key == "key" else key
        return self.wire.deliver(BINARY.encode(name, kind, 7, struct), properties, consumer, again, key)

    def acked(self) -> list[int]:
        """Return the tags acked since the last call, each as a number."""
        tags: list[int] = []
        for kind, tag, multiple in self.settled():
            self.assertEqual(kind, "ack")
            tags += range(self._lowest, tag + 1) if multiple else [tag]
            self._lowest = tag + 1 if multiple else self._lowest
        return tags

    _lowest = 1

    def exception(self, published: Published) -> TApplicationException:
        """Return the exception in a reply."""
        _, kind, _, start = BINARY.read_header(published.body)
        self.assertEqual(kind, TMessageType.EXCEPTION)
        return read_application_exception(BINARY, published.body, start)
