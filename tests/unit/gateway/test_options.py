"""The options of a gateway, and the texts of its answers."""

from __future__ import annotations

from typing import Any

import attrs
from thrift.Thrift import TApplicationException
from twisted.trial.unittest import SynchronousTestCase

from rpc import errors
from rpc.client.options import ClientOptions
from rpc.gateway import Gateway, GatewayOptions
from rpc.gateway.answers import error_text, protocol_of, type_of
from tests.unit.amqp.memory_reactor import BrokerReactor
from tests.unit.gateway.gateway_in_memory import GatewayTestCase, framed, request


class OptionTests(SynchronousTestCase):
    """GatewayOptions."""

    def test_refuses_wrong_values_by_name(self) -> None:
        wrong: tuple[tuple[str, Any], ...] = (
            ("timeout", 0),
            ("timeout", "5"),
            ("max_message_size", 0),
            ("max_message_size", 2**31),
            ("max_connections", 0),
            ("in_flight", 0),
            ("unordered", 1),
            ("idle_timeout", -1),
            ("transfer_timeout", float("nan")),
            ("max_buffered", 1.5),
            ("drain_timeout", True),
            ("cors", "https://a.example"),
            ("cors", ["a.example"]),
            ("cors", ["https://a.example/"]),
            ("cors", 5),
            ("user_id", ""),
            ("keys", "/nowhere"),
            ("retry", 1),
            ("idempotent", "add"),
            ("liveness", 0.5),
            ("priority", 256),
            ("headers", {"a": object()}),
            ("exchange", None),
            ("queue", ""),
            ("reply_exchange", ""),
            ("uncorrelated_replies", "yes"),
            ("app_id", 5),
        )
        for name, value in wrong:
            error = self.assertRaises(errors.ConfigurationError, lambda: GatewayOptions(**{name: value}))  # noqa: B023
            self.assertIn(name, str(error).lower())

    def test_takes_origins(self) -> None:
        self.assertEqual(GatewayOptions(cors=["*", "https://a.example:8443"]).cors, {"*", "https://a.example:8443"})

    def test_has_the_options_of_clients(self) -> None:
        """But those that the gateway has by other means, or does not need: it decodes no replies."""
        absent = {"name", "interceptors", "invalid_utf8", "max_elements"}
        known = {field.name for field in attrs.fields(ClientOptions)} - absent
        self.assertEqual(GatewayOptions().of_calls("json").keys(), known)
        chosen = ClientOptions(**GatewayOptions().of_calls("json"))
        self.assertEqual(chosen, ClientOptions(timeout=30.0, protocol="json"))

    def test_a_queue_is_that_of_one_service(self) -> None:
        options = GatewayOptions(queue="pool")
        Gateway("amqp://a", ["A"], framed=["tcp:0"], options=options, reactor=BrokerReactor())
        error = self.assertRaises(
            errors.ConfigurationError, Gateway, "amqp://a", ["A", "B"], framed=["tcp:0"], options=options
        )
        self.assertIn("queue='pool': a queue has one service, not 2", str(error))


class CallOptionTests(GatewayTestCase):
    """The options of calls."""

    def test_reach_the_requests(self) -> None:
        self.set_up(priority=3, headers={"tenant": "blue"}, app_id="gateway", liveness=5.0, idempotent=["add"])
        client, _ = self.connect()
        client.dataReceived(framed(request()))
        (sent,) = self.requests()
        properties = sent.properties
        self.assertEqual((properties.priority, properties.app_id), (3, "gateway"))
        self.assertEqual(properties.headers, {"tenant": "blue", "rpc-liveness": 5000})
        self.assertTrue(self.forwarder._clients["Calculator", "binary"]._operations["add", 1].idempotent)


class AnswerTests(SynchronousTestCase):
    """rpc.gateway.answers."""

    def test_errors_have_their_class_and_outcome_in_the_text(self) -> None:
        self.assertEqual(error_text(errors.WorkerLost("gone")), "WorkerLost: gone (may have been executed)")
        self.assertEqual(error_text(errors.Overloaded("full")), "Overloaded: full (not executed)")
        self.assertEqual(type_of(errors.InvalidRequest("a")), TApplicationException.PROTOCOL_ERROR)
        self.assertEqual(type_of(errors.Overloaded("a")), TApplicationException.INTERNAL_ERROR)

    def test_nothing_is_of_no_protocol(self) -> None:
        self.assertIsNone(protocol_of(b""))
        self.assertIsNone(protocol_of(b"\x81"))
