"""Verbs that ask workers, as processes, against a worker with false answers."""

from __future__ import annotations

import json
import os

from twisted.internet.utils import getProcessOutputAndValue

from rpc.cli.list import MOST_SERVICES
from rpc.control import ServiceDescription, WorkerDescription
from tests.integration import test_reflection
from tests.integration.test_cli_call import COMMAND
from tests.integration.test_reflection import FalseControlTestCase


class ListTests(FalseControlTestCase):
    """``thrift-rpc list``: the broker is asked about six queues of each service."""

    async def test_lists_so_many_services_and_those_that_are_named(self) -> None:
        """The others are counted, and the status says that the list is not complete."""
        told = [ServiceDescription(name=f"{number:06}", queue="none") for number in range(MOST_SERVICES + 3)]
        description = WorkerDescription(instance="a", services=[*told, ServiceDescription(name="last", queue="none")])
        self.patch(test_reflection.FalseControl, "describe", lambda *_: description)
        await self.serve_falsely()
        words = ("list", "--broker", self.url, "--wait", "5", "--json", "last")  # its answer is large
        output, error, status = await getProcessOutputAndValue(str(COMMAND), words, env=os.environ)
        found = json.loads(output)
        self.assertEqual(status, 1)
        self.assertEqual(len(found["services"]), MOST_SERVICES + 1)
        self.assertEqual(found["services"][-1]["service"], "last")
        self.assertGreaterEqual(found["left_out"], 3)  # other workers may be there
        self.assertIn(b"further services are not listed", error)
