"""A caller that asks for keepalives learns which worker has answered, from end to end."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import TestCase

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Work
from rpc.testing import Harness
from services.calculator import CalculatorHandler
from tests.unit.signed import MOBILE, write_keys


class Noting(rpc.ClientInterceptor):
    """Notes the workers of each call when it ends."""

    def __init__(self) -> None:
        self.seen: list[frozenset[str]] = []

    def after(self, call: rpc.ClientCall) -> None:
        """Note them."""
        self.seen.append(call.workers)

    failed = after


class Setting(CalculatorHandler):
    """A calculator that sets metadata of a reply."""

    def add(self, num1: int, num2: int) -> int:
        """Set it, and add."""
        call = rpc.current_call()
        assert call is not None
        call.reply_headers["cache"] = "hit"
        return super().add(num1, num2)


class NamedWorkerTests(TestCase):
    """Handlers that return at once send no keepalive."""

    async def check(self, **keys: Any) -> None:
        """Call with and without ``liveness``."""
        noting = Noting()
        async with Harness(rpc.ThriftService(Calculator, Setting(), **keys)) as harness:
            client = harness.client(Calculator, liveness=5.0, interceptors=[noting], **keys)
            reply = await rpc.with_reply(client.add, 2, 3)
            self.assertEqual((reply.value, reply.headers), (5, {"cache": "hit"}))
            self.assertEqual((await rpc.with_reply(client.blob, b"a")).headers, {})
            with self.assertRaises(InvalidOperation):
                await client.calculate(1, Work(1, 0, 4))
            await rpc.with_options(client, liveness=None).ping()
            assert harness.worker is not None
            named = frozenset((harness.worker.instance,))
            self.assertEqual(noting.seen, [named, named, named, frozenset()])

    async def test_the_reply_names_its_worker(self) -> None:
        """Beside metadata of the handler, without, and with an exception of the IDL; not for other callers."""
        await self.check()

    async def test_signed_replies_name_it_too(self) -> None:
        """The name is no metadata, and is not signed."""
        await self.check(keys=write_keys(self.mktemp(), mobile=MOBILE))
