"""The options of a gateway, and the texts of its answers."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException
from twisted.trial.unittest import SynchronousTestCase

from rpc import errors
from rpc.gateway import GatewayOptions
from rpc.gateway.answers import error_text, protocol_of, type_of


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
            ("user_id", "alice"),
            ("keys", "/nowhere"),
        )
        for name, value in wrong:
            error = self.assertRaises(errors.ConfigurationError, lambda: GatewayOptions(**{name: value}))  # noqa: B023
            self.assertIn(name, str(error).lower())

    def test_takes_origins(self) -> None:
        self.assertEqual(GatewayOptions(cors=["*", "https://a.example:8443"]).cors, {"*", "https://a.example:8443"})


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
