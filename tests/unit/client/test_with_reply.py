"""Replies with their metadata, and calls without a stub."""

from __future__ import annotations

from functools import partial
from typing import Any, get_type_hints

import attrs
from hypothesis import given
from hypothesis import strategies as st
from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

import rpc
from rpc.client.options import NOT_RAW, ClientOptions, RawOptions
from rpc.client.raw import MOST_OPERATIONS, RawClient, call_raw, raw_operation
from rpc.envelope import CODECS
from rpc.errors import AccessDenied, InvalidReply, InvalidRequest, MessageTooLarge, ServiceUnavailable
from tests.unit.amqp.memory_reactor import BrokerReactor
from tests.unit.amqp.peer import outcome_of
from tests.unit.client.caller_in_memory import AttemptTestCase, Calculator
from tests.unit.wire import Published


class WithReplyTests(AttemptTestCase):
    """rpc.with_reply."""

    def test_gives_the_value_and_the_metadata(self) -> None:
        fired = outcome_of(rpc.with_reply(self.client.add, 1, num2=2))
        headers = {"cache": "hit", "rpc-new": 1, "x-death": []}
        self.caller.reply(self.request(), Calculator.add_result(3), headers=headers)
        self.assertEqual(fired, [rpc.Reply(3, {"cache": "hit"})])

    def test_gives_no_metadata_when_there_is_none(self) -> None:
        fired = outcome_of(rpc.with_reply(self.client.ping))
        self.caller.reply(self.request(), Calculator.ping_result())
        self.assertEqual(fired, [rpc.Reply(None, {})])

    def test_the_method_itself_is_left_as_it_was(self) -> None:
        outcome_of(rpc.with_reply(self.client.add, 1, 2))
        self.request()
        fired = outcome_of(self.client.add(1, 2))
        self.caller.reply(self.request(), Calculator.add_result(3), headers={"cache": "hit"})
        self.assertEqual(fired, [3])

    def test_fails_as_the_method_does(self) -> None:
        fired = outcome_of(rpc.with_reply(self.client.add, 1, 2))
        self.wire.give_back(self.request())
        self.assert_fails(fired, ServiceUnavailable)
        self.assertRaises(TypeError, rpc.with_reply, self.client.add, 1)
        fired = outcome_of(rpc.with_reply(self.client.add, 1, 2))
        self.caller.reply(self.request(), TApplicationException(6, "no"), headers={"cache": "hit"})
        self.assert_fails(fired, TApplicationException)

    def test_a_oneway_call_gives_no_value(self) -> None:
        fired = outcome_of(rpc.with_reply(self.client.zip))
        self.wire.confirm(1)
        self.assertEqual(fired, [rpc.Reply(None, {})])

    def test_takes_methods_of_clients_alone(self) -> None:
        for wrong in (None, self.client, len):
            self.assertIn("is no method", str(self.assertRaises(TypeError, rpc.with_reply, wrong)))


class RawTests(AttemptTestCase):
    """Thrift messages as bytes."""

    def call(self, message: bytes, **options: Any) -> list[Any]:
        """Send a message, and return the outcome."""
        return outcome_of(
            call_raw(self.caller.subject.call, ClientOptions(name="Calculator", **options), None, message)
        )

    def request_of(self, seqid: int, protocol: str = "binary", kind: int = TMessageType.CALL) -> bytes:
        """A message as another program has encoded it."""
        return CODECS[protocol].encode("add", kind, seqid, Calculator.add_args(1, 2))

    def reply(self, request: Published, protocol: str, headers: Any = None, **changes: Any) -> None:
        """Answer the request, in its protocol."""
        codec = CODECS[protocol]
        head: dict[str, Any] = {
            "name": "add",
            "kind": TMessageType.REPLY,
            "seqid": codec.read_header(request.body)[2],
        } | changes
        self.caller.reply_bytes(request, codec.encode(**head, struct=Calculator.add_result(3)), headers=headers)

    def test_replaces_the_seqid_and_gives_the_reply_the_given_one(self) -> None:
        for number, protocol in enumerate(CODECS, 1):
            codec = CODECS[protocol]
            fired = self.call(self.request_of(-77, protocol), protocol=protocol, headers={"a": 1})
            request = self.request()
            self.assertEqual(request.body, codec.encode("add", TMessageType.CALL, number, Calculator.add_args(1, 2)))
            properties = request.properties
            self.assertEqual((properties.type, properties.headers), ("Calculator.add", {"a": 1}))
            self.reply(request, protocol, headers={"cache": "hit"})
            expected = codec.encode("add", TMessageType.REPLY, -77, Calculator.add_result(3))
            self.assertEqual(fired, [rpc.RawReply(expected, {"cache": "hit"})])

    def test_an_exception_message_is_a_reply(self) -> None:
        fired = self.call(self.request_of(5))
        self.caller.reply(self.request(), TApplicationException(6, "no"))
        self.assertEqual(CODECS["binary"].read_header(fired[0].message)[:3], ("add", TMessageType.EXCEPTION, 5))

    def test_a_oneway_message_is_known_by_its_type(self) -> None:
        fired = self.call(self.request_of(5, kind=TMessageType.ONEWAY))
        self.assertIsNone(self.request().properties.reply_to)
        self.wire.confirm(1)
        self.assertEqual(fired, [rpc.RawReply(b"", {})])

    def test_rejects_bytes_that_are_no_request(self) -> None:
        for message in (b"", b"rubbish", self.request_of(5, kind=TMessageType.REPLY), self.request_of(5, "json")):
            self.assertRaises(InvalidRequest, self.call, message)

    def test_rejects_a_message_over_the_limit(self) -> None:
        self.assert_fails(self.call(self.request_of(5), max_message_size=10), MessageTooLarge)

    def test_rejects_a_reply_of_another_call(self) -> None:
        for changes in ({"seqid": 99}, {"name": "sum"}, {"kind": TMessageType.CALL}):
            fired = self.call(self.request_of(5))
            self.reply(self.request(), "binary", **changes)
            self.assert_fails(fired, InvalidReply)

    def test_rejects_a_reply_without_a_head(self) -> None:
        fired = self.call(self.request_of(5))
        self.caller.reply_bytes(self.request(), b"rubbish")
        self.assert_fails(fired, InvalidReply)

    def test_the_text_of_a_refusal_is_in_the_error(self) -> None:
        fired = self.call(self.request_of(5))
        refusal = TApplicationException(6, "alice may not")
        self.caller.reply(self.request(), refusal, headers={"rpc-outcome": "access-denied"})
        self.assertEqual(self.assert_fails(fired, AccessDenied), "alice may not")

    def test_a_client_keeps_its_operations(self) -> None:
        client = RawClient(self.caller.subject.call, ClientOptions(name="Calculator"))
        for seqid in (5, 6):
            fired = outcome_of(client.call(self.request_of(seqid)))
            self.reply(self.request(), "binary")
            expected = CODECS["binary"].encode("add", TMessageType.REPLY, seqid, Calculator.add_result(3))
            self.assertEqual(fired, [expected])
        self.assertEqual(len(client._operations), 1)
        self.assertRaises(InvalidRequest, client.call, b"rubbish")

    def test_a_client_sends_oneway_messages(self) -> None:
        client = RawClient(self.caller.subject.call, ClientOptions(name="Calculator"))
        fired = outcome_of(client.call(self.request_of(5, kind=TMessageType.ONEWAY)))
        self.wire.confirm(1)
        self.assertEqual(fired, [b""])

    def test_names_of_messages_take_no_memory_for_ever(self) -> None:
        client = RawClient(lambda operation, *message: Deferred(), ClientOptions(name="Calculator"))
        for number in range(MOST_OPERATIONS + 10):
            client.send((f"name{number}", TMessageType.CALL, 0, 0), b"")
        self.assertEqual(len(client._operations), 10)

    def test_a_connection_sends_them(self) -> None:
        connection = rpc.Connection("amqp://a:b@192.0.2.1/", reactor=BrokerReactor())
        outcome_of(connection.call_raw("Calculator", b"rubbish")).pop().outcome  # noqa: B018
        self.assertRaises(rpc.ConfigurationError, connection.call_raw, "Calculator", b"", protocol="xml")
        self.assertRaises(rpc.ConfigurationError, connection.call_raw, "Calculator", b"", timeout=-1)
        self.assertRaises(rpc.ConfigurationError, connection.raw_client, "Calculator", timeout=-1)
        fired = outcome_of(connection.call_raw("Calculator", self.request_of(1)))
        other = outcome_of(connection.raw_client("Calculator", protocol="json").call(self.request_of(1, "json")))
        self.assertEqual(fired + other, [])
        connection.stopService()
        for outcome in (fired, other):
            self.assertIsInstance(outcome[0], rpc.ConnectionLost)


class RawOptionTests(AttemptTestCase):
    """The options of calls without a stub."""

    def setUp(self) -> None:
        super().setUp()
        self.connection = rpc.Connection("amqp://a:b@192.0.2.1/", reactor=BrokerReactor())
        self.message = CODECS["binary"].encode("add", TMessageType.CALL, 5, Calculator.add_args(1, 2))

    def test_are_those_of_clients(self) -> None:
        """But for two, which are refused with the reason."""
        fields = {field.name for field in attrs.fields(ClientOptions)}
        self.assertEqual(get_type_hints(RawOptions).keys(), fields - NOT_RAW.keys())
        for name, why in NOT_RAW.items():
            for call in (self.connection.raw_client, partial(self.connection.call_raw, message=self.message)):
                error = self.assertRaises(TypeError, call, "Calculator", **{name: "replace"})
                self.assertIn(f"no option {name!r}: {why}", str(error))
        self.assertRaises(TypeError, self.connection.raw_client, "Calculator", colour="red")

    def test_choose_the_exchanges(self) -> None:
        """Each pair has a channel of its own."""
        self.connection.raw_client("Calculator", exchange="services", reply_exchange="responses")
        outcome_of(self.connection.call_raw("Calculator", self.message, exchange="services", reply_exchange="others"))
        self.assertEqual(list(self.connection._callers), [("services", "responses"), ("services", "others")])
        self.connection.stopService()

    def test_reach_the_request(self) -> None:
        """Properties, and which calls are made again."""
        options = ClientOptions(
            name="Calculator", priority=3, app_id="proxy", headers={"a": 1}, liveness=5.0, idempotent=["add"]
        )
        client = RawClient(self.caller.subject.call, options)
        outcome_of(client.call(self.message))
        properties = self.request().properties
        self.assertEqual((properties.priority, properties.app_id), (3, "proxy"))
        self.assertEqual(properties.headers, {"a": 1, "rpc-liveness": 5000})
        kinds = {name: raw_operation(name, TMessageType.CALL, options, None).idempotent for name in ("add", "zip")}
        self.assertEqual(kinds, {"add": True, "zip": False})

    def test_have_interceptors_behind_those_of_the_connection(self) -> None:
        seen: list[str] = []

        class Noting(rpc.ClientInterceptor):
            def __init__(self, name: str) -> None:
                self.name = name

            def before(self, call: rpc.ClientCall) -> None:
                seen.append(self.name)

        connection = rpc.Connection("amqp://a:b@192.0.2.1/", interceptors=[Noting("outer")], reactor=BrokerReactor())
        outcome_of(connection.call_raw("Calculator", self.message, interceptors=[Noting("of a call")]))
        outcome_of(connection.raw_client("Calculator", interceptors=[Noting("of a client")]).call(self.message))
        self.assertEqual(seen, ["outer", "of a call", "outer", "of a client"])
        connection.stopService()


class SeqidTests(SynchronousTestCase):
    """with_seqid."""

    @given(
        st.sampled_from(sorted(CODECS)),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.integers(-(2**31), 2**31 - 1),
        st.integers(-(2**31), 2**31 - 1),
    )
    def test_changes_nothing_but_the_seqid(self, protocol: str, name: str, first: int, second: int) -> None:
        codec = CODECS[protocol]
        struct = Calculator.add_args(1, 2)
        message = codec.encode(name, TMessageType.CALL, first, struct)
        self.assertEqual(
            codec.with_seqid((message, codec.read_header(message)), second),
            codec.encode(name, TMessageType.CALL, second, struct),
        )

    def test_knows_the_older_form_of_binary(self) -> None:
        """Its messages get a version."""
        codec = CODECS["binary"]
        struct = codec.encode("add", TMessageType.CALL, 0, Calculator.add_args(1, 2))[15:]
        message = b"\0\0\0\3add\1\0\0\0\7" + struct
        self.assertEqual(
            codec.with_seqid((message, codec.read_header(message)), 9),
            codec.encode("add", TMessageType.CALL, 9, Calculator.add_args(1, 2)),
        )
