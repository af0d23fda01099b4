"""Peers that know only the wire (DESIGN, section 3) are answered: pika by hand."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.utils import getProcessOutputAndValue

import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler
from tests.services.support import ServiceTestCase

PROJECT = Path(__file__).parents[2]


class PeerTests(ServiceTestCase):
    """A worker in this process, and a peer in another."""

    timeout = 60.0

    async def run_peer(self, *arguments: str) -> list[Any]:
        """The output of a program of ``tests/peers.py``, which must succeed."""
        output, errors, status = await getProcessOutputAndValue(
            sys.executable, ["-m", "tests.peers", *arguments], {**os.environ, "PYTHONPATH": str(PROJECT)}, str(PROJECT)
        )
        self.assertEqual((status, errors.decode()), (0, ""), output)
        return [json.loads(line) for line in output.splitlines()]

    async def test_serves_a_client_on_pika_in_every_protocol(self) -> None:
        """A program of pika and Thrift's plain protocols is answered in its own protocol.

        With and without a correlation id, which comes back as it went; without content type in binary; an unknown
        method is a TApplicationException.
        """
        name = self.unique("Calculator")
        self.serve(rpc.ThriftService(Calculator, CalculatorHandler(), name=name))
        await self.client(Calculator, "ping", name=name)
        answers = await self.run_peer(self.url, name)
        answered = [[], ["add", TMessageType.REPLY, 77], 42]
        unknown = [[], ["subtract", TMessageType.EXCEPTION, 78], TApplicationException.UNKNOWN_METHOD]
        self.assertEqual(answers, [answered, unknown] * 8)
