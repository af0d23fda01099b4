"""The text of objects in logs, errors and at a prompt: names, never an address in memory."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import rpc
import rpc.aio
from generated.calculator import Calculator
from rpc.access_log import AccessLog
from rpc.broker.server import BrokerServer
from rpc.client.options import ClientOptions
from rpc.metrics import ClientMetrics, WorkerMetrics
from rpc.testing import Harness
from rpc.tracing import ClientTracing, WorkerTracing
from services.calculator import CalculatorHandler

URL = "amqp://guest:secret@localhost"


class Watch(rpc.ClientInterceptor):
    """An interceptor of a user."""


class ReprTests(SynchronousTestCase):
    """Of the objects that users hold."""

    def test_objects_are_shown_by_their_names(self) -> None:
        """No password is in them either."""
        service = rpc.ThriftService(Calculator, CalculatorHandler(), interceptors=[rpc.WorkerInterceptor()])
        connection = rpc.Connection(URL)
        client: Any = connection.client(Calculator)
        registry = CollectorRegistry()
        shown = {
            "<service Calculator>": service,
            "<worker of Calculator>": rpc.Worker(URL, [service]),
            "<connection to amqp://guest:***@localhost:5672/%2F>": connection,
            "<client of Calculator>": client,
            "<Calculator.add(num1, num2)>": client.add,
            "<raw client of Calculator>": connection.raw_client("Calculator"),
            "<connection that is not open>": rpc.aio.connect(URL),
            "<harness of Calculator>": Harness(service),
            "<harness of no service>": Harness(),
            "<embedded broker on 127.0.0.1, port not chosen yet>": BrokerServer(Clock(), port=0),
            "<Watch>": Watch(),
            "<ClientMetrics>": ClientMetrics(registry),
            "<WorkerMetrics>": WorkerMetrics(registry),
            "<ClientTracing>": ClientTracing(),
            "<WorkerTracing>": WorkerTracing(),
            "<AccessLog as text>": AccessLog(),
        }
        for text, each in shown.items():
            self.assertEqual(repr(each), text)

    def test_values_show_what_is_in_them(self) -> None:
        """With the names of objects."""
        self.assertIn("interceptors=(<Watch>,)", repr(ClientOptions(interceptors=[Watch()])))
        self.assertEqual(repr(rpc.CallerLimits(concurrency=3)), "CallerLimits(concurrency=3, rate=None, burst=None)")

    def test_an_error_about_an_interceptor_names_its_class(self) -> None:
        """An object of another interface."""
        with self.assertRaises(rpc.ConfigurationError) as refused:
            rpc.Connection(URL, interceptors=[CalculatorHandler()])
        self.assertIn("a CalculatorHandler is no IClientInterceptor", str(refused.exception))
        self.assertNotIn(" at 0x", str(refused.exception))
