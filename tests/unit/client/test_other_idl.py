"""Replies of a worker whose IDL is another version: the error names the field."""

from __future__ import annotations

import sys
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType, TType
from twisted.trial.unittest import SynchronousTestCase

from generated.kvstore import KeyValueStore
from rpc.client.options import ClientOptions
from rpc.client.stub_client import Client
from rpc.envelope import CODECS
from rpc.envelope.differences import LARGEST_MESSAGE, MOST_COMPARED
from rpc.errors import InvalidReply
from rpc.stub import Stub
from tests.unit.amqp.peer import outcome_of
from tests.unit.client.caller_in_memory import CallerInMemory
from tests.unit.foreign_messages import PROTOCOLS, Fields, message

ENTRY: Fields = [(1, TType.STRING, "key"), (2, TType.STRING, "YQ==")]
EXCEPTION: Fields = [(1, TType.STRING, "what")]


class OtherIDLTests(SynchronousTestCase):
    """A client of the key-value store."""

    def answer(self, protocol: str, method: str, arguments: tuple[Any, ...], fields: Fields) -> Any:
        """Return the outcome of a call that is answered with a result of these fields."""
        caller = CallerInMemory()
        caller.open()
        options = ClientOptions(protocol=protocol)
        client: Any = Client(Stub.of(KeyValueStore), lambda _: caller.subject, options)
        fired = outcome_of(getattr(client, method)(*arguments))
        (request,) = caller.wire.take()
        name, _, seqid, _ = CODECS[protocol].read_header(request.body)
        caller.reply_bytes(request, message(protocol, name, TMessageType.REPLY, seqid, fields))
        (outcome,) = fired
        return outcome

    def check(self, method: str, arguments: tuple[Any, ...], fields: Fields, error: type[Exception], text: str) -> None:
        """Check that the call fails with this error in each protocol."""
        for protocol in PROTOCOLS:
            outcome = self.answer(protocol, method, arguments, fields)
            self.assertIsInstance(outcome, error, protocol)
            self.assertIn(text, str(outcome), protocol)

    def test_a_new_exception(self) -> None:
        """The handler has raised an exception that the stub does not have."""
        self.check(
            "remove",
            ("k",),
            [(7, TType.STRUCT, EXCEPTION)],
            TApplicationException,
            "the worker has sent field 7 of remove_result, which this stub does not know",
        )

    def test_a_new_exception_of_a_void_method(self) -> None:
        """It was taken for success."""
        for fields in (EXCEPTION, []):
            self.check(
                "put",
                ("k", b"v"),
                [(7, TType.STRUCT, fields)],
                TApplicationException,
                "the worker has sent field 7 of put_result, which this stub does not know",
            )

    def test_a_void_method_that_returns_a_value_there(self) -> None:
        """This is compatible."""
        for protocol in PROTOCOLS:
            self.assertIsNone(self.answer(protocol, "put", ("k", b"v"), [(0, TType.I32, 1)]))
        not_text = [(0, TType.STRING, b"\x80")]  # binary that is no text
        for protocol in ("binary", "compact"):
            self.assertIsNone(self.answer(protocol, "put", ("k", b"v"), not_text))

    def test_a_result_of_another_type(self) -> None:
        """Thrift skips it."""
        self.check(
            "remove",
            ("k",),
            [(0, TType.STRING, "yes")],
            TApplicationException,
            "the worker has sent string as 'success' (field 0 of remove_result), which is bool in this stub",
        )

    def test_a_required_field_that_is_missing(self) -> None:
        """In an inner struct, in a list."""
        page: Fields = [(1, TType.LIST, (TType.STRUCT, [ENTRY, ENTRY[:1]]))]
        self.check(
            "scan",
            ("", "", 10),
            [(0, TType.STRUCT, page)],
            InvalidReply,
            "the worker has sent no 'value' (field 2 of Entry), which is required",
        )

    def test_a_field_whose_type_was_changed(self) -> None:
        """A required field of another type counts as missing; the text names both types."""
        entry: Fields = [(1, TType.I32, 5), ENTRY[1]]
        self.check(
            "scan",
            ("", "", 10),
            [(0, TType.STRUCT, [(1, TType.LIST, (TType.STRUCT, [entry]))])],
            InvalidReply,
            "the worker has sent i32 as 'key' (field 1 of Entry), which is string in this stub",
        )

    def test_elements_of_another_type(self) -> None:
        """The decoders' own errors name no field."""
        self.check(
            "scan",
            ("", "", 10),
            [(0, TType.STRUCT, [(1, TType.LIST, (TType.I32, [1, 2]))])],
            InvalidReply,
            "the worker has sent i32 as an element of 'entries' (field 1 of Page), which is struct in this stub",
        )

    def test_an_added_field_is_compatible(self) -> None:
        """Inner structs may have fields that the stub does not know."""
        page: Fields = [(1, TType.LIST, (TType.STRUCT, [[*ENTRY, (9, TType.BOOL, True)]]))]
        for protocol in PROTOCOLS:
            outcome = self.answer(protocol, "scan", ("", "", 10), [(0, TType.STRUCT, page)])
            self.assertEqual(outcome.entries[0].key, "key", outcome)

    def test_a_large_reply_is_not_read_again(self) -> None:
        """Its error is as it was."""
        fields: Fields = [(0, TType.STRING, "x" * LARGEST_MESSAGE)]
        for protocol in PROTOCOLS:
            outcome = self.answer(protocol, "remove", ("k",), fields)
            self.assertEqual(str(outcome), "remove failed: unknown result")

    def test_a_large_exception_of_a_void_method(self) -> None:
        """It is not read again, but a result of such a method is empty."""
        fields: Fields = [(7, TType.STRUCT, [(1, TType.STRING, "x" * LARGEST_MESSAGE)])]
        for protocol in PROTOCOLS:
            outcome = self.answer(protocol, "put", ("k", b"v"), fields)
            self.assertIsInstance(outcome, TApplicationException, protocol)

    def test_many_structs_are_compared_in_little_time(self) -> None:
        """The required fields are found out once a class, and not every element is compared."""
        differences: Any = sys.modules["rpc.envelope.differences"]
        known: list[type] = []
        compared: list[type] = []

        def is_required(struct_class: type, name: str) -> bool:
            known.append(struct_class)
            return True

        def described(number: int, struct_class: type) -> str:
            compared.append(struct_class)
            return "a field"

        self.patch(differences, "_is_required", is_required)
        self.patch(differences, "_described", described)
        differences._known.cache_clear()
        self.addCleanup(differences._known.cache_clear)
        empties: Fields = [(1, TType.LIST, (TType.STRUCT, [[]] * 10_000))]
        outcome = self.answer("binary", "scan", ("", "", 10), [(0, TType.STRUCT, empties)])
        self.assertIn("the worker has sent no a field, which is required", str(outcome))
        self.assertLess(len(known), 20)
        self.assertLess(len(compared), 2 * MOST_COMPARED + 20)
