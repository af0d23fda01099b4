"""A client with keys: it signs its requests, and takes signed replies only."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException
from twisted.internet.defer import CancelledError

from rpc.amqp.codec.properties import decode_properties, encode_properties, split_properties
from rpc.client.options import ClientOptions
from rpc.client.stub_operation import StubOperation
from rpc.client.with_options import with_options
from rpc.envelope import CODECS
from rpc.errors import AccessDenied, ConfigurationError, ConnectionLost, InvalidReply, Outcome, RPCError
from rpc.keys import Keys
from rpc.messages import Properties
from rpc.signing import ONEWAY_LIFETIME, Kind, Signed, answer, verify
from tests.unit.amqp.peer import outcome_of
from tests.unit.client.caller_in_memory import AttemptTestCase, Calculator, serving_call
from tests.unit.client.test_nested import context
from tests.unit.signed import BATCH, MOBILE, NOW, keys_of
from tests.unit.test_hot_path import count_functions
from tests.unit.wire import Published

BINARY = CODECS["binary"]


class SignedCallTestCase(AttemptTestCase):
    """A client with keys."""

    def setUp(self) -> None:
        super().setUp()
        self.keys = keys_of(self.mktemp(), mobile=MOBILE, batch=BATCH)
        self.client = self.caller.client(keys=self.keys, timeout=5.0, headers={"tenant": "acme"})

    def verified(self, request: Published, kind: Kind = Kind.REQUEST) -> Signed:
        """Return the signature of a message of the client."""
        parts = split_properties(encode_properties(request.properties))
        return verify(self.keys, kind, "Calculator", parts, request.body)

    def answer(self, request: Published, result: Any = 3, kind: Kind = Kind.REPLY, **changes: Any) -> None:
        """Answer a call of ``add``, signed as the worker does.

        :param changes: ``headers``; ``as_if``: a request that the answer claims to be for; ``correlation_id``.
        """
        signed = self.verified(changes.get("as_if", request))
        is_error = isinstance(result, TApplicationException)
        struct = result if is_error else Calculator.add_result(result)
        body = (
            b"" if kind is Kind.KEEPALIVE else BINARY.encode("add", 3 if is_error else 2, self.seqid(request), struct)
        )
        properties = Properties(
            content_type=BINARY.content_type,
            correlation_id=request.properties.correlation_id,
            headers=changes.get("headers"),
        )
        self.wire.deliver(body, answer(signed, changes.get("signed_as", kind), encode_properties(properties), body))

    def seqid(self, request: Published) -> int:
        """The Thrift seqid of a request."""
        return BINARY.read_header(request.body)[2]


class RequestTests(SignedCallTestCase):
    """The signatures of a client's requests."""

    def test_signs_a_call_until_its_deadline(self) -> None:
        """With the first key, or the one that is named."""
        self.client.add(1, 2)
        signed = self.verified(self.request())
        self.assertEqual((signed.key.name, signed.time, signed.lifetime), ("mobile", int(NOW * 1000), 5000))
        path = keys_of(self.mktemp(), mobile=MOBILE, batch=BATCH)._path
        with_options(self.client, keys=Keys(path, sign_with="batch")).add(1, 2)
        self.assertEqual(self.verified(self.request()).key.name, "batch")

    def test_signs_oneway_requests_for_a_day(self) -> None:
        """They have no deadline."""
        self.client.zip()
        self.assertEqual(self.verified(self.request()).lifetime, ONEWAY_LIFETIME)

    def test_signs_for_the_service_and_not_for_an_instance(self) -> None:
        """The worker does not know by which name it was called."""
        with_options(self.client, name="Calculator@host.1.ab").add(1, 2)
        self.verified(self.request())

    def test_signs_inherited_metadata(self) -> None:
        """Handlers trust the metadata."""
        with serving_call(context(user="ada")):
            self.client.add(1, 2)
        request = self.request()
        self.assertEqual((request.properties.headers or {})["user"], "ada")
        self.verified(request)

    def test_inherited_metadata_that_cannot_be_signed_fails_the_call(self) -> None:
        """Nothing is sent, and the error names the header."""
        with serving_call(context(weight=0.5)):
            fired = outcome_of(self.client.add(1, 2))
        self.assertEqual(self.wire.take(), [])
        self.assertIn("'weight'", self.assert_fails(fired, RPCError, Outcome.NOT_SENT))

    def test_options_that_cannot_be_signed_are_refused(self) -> None:
        """Where they are given."""
        self.assertRaises(ConfigurationError, ClientOptions, keys=self.keys, headers={"weight": 0.5})
        self.assertRaises(ConfigurationError, with_options, self.client, headers={"weight": 0.5})
        self.assertRaises(ConfigurationError, ClientOptions, keys="/nowhere")

    def test_signs_each_attempt_anew(self) -> None:
        """A worker begins a signature once."""
        client = with_options(self.client, idempotent=["add"])
        client.add(1, 2)
        first = self.request()
        self.lose_channel()
        second = self.again()
        self.assertNotEqual(self.verified(first).mac, self.verified(second).mac)
        self.assertEqual((second.properties.headers or {})["rpc-attempt"], 2)

    def test_signs_cancellations(self) -> None:
        """A service that requires signatures ignores others. Those of another client's calls go apart."""
        others = with_options(self.client, keys=None)
        fired = [outcome_of(call) for call in self.cancel(self.client, others)]
        first, second = sorted(self.wire.take(), key=lambda each: each.properties.headers is None)
        self.assertEqual(self.verified(first, Kind.CANCELLATION).key.name, "mobile")
        self.assertIsNone(second.properties.headers)
        for each in fired:
            self.assertIsInstance(each[0], CancelledError)

    def cancel(self, *clients: Any) -> list[Any]:
        """Begin a call of each client, and cancel them."""
        calls = [client.add(1, 2) for client in clients]
        self.wire.take()
        for call in calls:
            call.cancel()
        self.wire.clock.advance(0.06)
        return calls


class ReplyTests(SignedCallTestCase):
    """The replies that a client takes."""

    def begin(self, client: Any = None) -> tuple[list[Any], Published]:
        """Return the outcome of a call, and its request."""
        fired = outcome_of((client or self.client).add(1, 2))
        return fired, self.request()

    def assert_refused(self, fired: list[Any]) -> str:
        """The call has ended with an invalid reply."""
        text = self.assert_fails(fired, InvalidReply, Outcome.UNKNOWN)
        self.assertIn("the reply is refused", text)
        return text

    def test_takes_a_signed_reply(self) -> None:
        """With metadata or without."""
        for headers in (None, {"cost": 7}):
            fired, request = self.begin()
            self.answer(request, headers=headers)
            self.assertEqual(fired, [3])

    def test_refuses_a_reply_without_a_signature(self) -> None:
        """With headers or without."""
        for headers in (None, {"cost": 7}):
            fired, request = self.begin()
            self.caller.reply(request, Calculator.add_result(4), headers=headers)
            self.assertIn("it is not signed", self.assert_refused(fired))

    def test_the_error_repeats_what_an_unsigned_refusal_says(self) -> None:
        """A worker cannot sign for a client whose key it does not know."""
        fired, request = self.begin()
        refusal = TApplicationException(6, "access denied: no key 'mobile'")
        self.caller.reply(request, refusal, headers={"rpc-outcome": "access-denied"})
        self.assertIn("no key 'mobile'", self.assert_refused(fired))

    def test_refuses_the_reply_to_another_call(self) -> None:
        """A peer may have seen it."""
        _, other = self.begin()
        fired, request = self.begin()
        self.answer(request, 4, as_if=other)
        self.assertEqual(len(fired), 1)
        self.assertIsInstance(fired[0], InvalidReply)

    def test_refuses_another_kind_of_message(self) -> None:
        """A peer without the key cannot pass a signed request off as a reply."""
        fired, request = self.begin()
        self.answer(request, 4, signed_as=Kind.REQUEST)
        self.assert_refused(fired)

    def test_refuses_a_changed_reply(self) -> None:
        """One bit of the body."""
        fired, request = self.begin()
        body = BINARY.encode("add", 2, self.seqid(request), Calculator.add_result(3))
        properties = Properties(correlation_id=request.properties.correlation_id)
        encoded = answer(self.verified(request), Kind.REPLY, encode_properties(properties), body)
        self.wire.deliver(body[:-2] + b"\x04" + body[-1:], encoded)
        self.assert_refused(fired)

    def test_refuses_a_refusal_that_was_made_of_a_reply(self) -> None:
        """The header that says so is signed. The body of such a message is not decoded."""
        fired, request = self.begin()
        body = BINARY.encode("add", 2, self.seqid(request), Calculator.add_result(3))
        properties = Properties(correlation_id=request.properties.correlation_id)
        decoded = decode_properties(answer(self.verified(request), Kind.REPLY, encode_properties(properties), body))
        headers = {**(decoded.headers or {}), "rpc-outcome": "stopping"}
        forged = Properties(correlation_id=request.properties.correlation_id, headers=headers)
        counted = count_functions(lambda: self.wire.deliver(body, forged))
        self.assert_refused(fired)
        self.assertEqual(counted[StubOperation.decode.__code__], 0)

    def test_takes_a_signed_refusal(self) -> None:
        """The clocks differ, for example."""
        fired, request = self.begin()
        self.answer(request, TApplicationException(6, "clocks"), headers={"rpc-outcome": "access-denied"})
        self.assertIn("clocks", self.assert_fails(fired, AccessDenied, Outcome.REJECTED))

    def test_takes_the_late_reply_to_an_earlier_attempt(self) -> None:
        """Both attempts may run, and the first reply counts."""
        client = with_options(self.client, idempotent=["add"])
        fired, first = self.begin(client)
        self.lose_channel()
        self.again()
        self.answer(first)
        self.assertEqual(fired, [3])

    def test_ignores_keepalives_without_a_valid_signature(self) -> None:
        """The call goes on; a signed one names the worker."""
        client = with_options(self.client, liveness=2.0, idempotent=[])
        call = client.add(1, 2)
        fired, request = outcome_of(call), self.request()
        self.keepalive(request, "host.1.forged")
        self.answer(request, kind=Kind.KEEPALIVE, signed_as=Kind.REPLY, headers={"rpc-keepalive": "host.1.forged"})
        self.assertEqual(fired, [])
        self.answer(request, kind=Kind.KEEPALIVE, headers={"rpc-keepalive": "host.1.true"})
        call.cancel()
        (cancellation,) = self.wire.take()
        self.assertEqual(cancellation.routing_key, "Calculator@host.1.true")

    def test_a_client_without_keys_takes_signed_and_unsigned_replies(self) -> None:
        """As before."""
        fired, request = self.begin(with_options(self.client, keys=None))
        self.assertNotIn("rpc-signature", request.properties.headers or {})
        self.caller.reply(request, Calculator.add_result(3), headers={"rpc-signature": "anything"})
        self.assertEqual(fired, [3])

    def test_lost_calls_leave_nothing(self) -> None:
        """Their signatures go with them."""
        fired, _ = self.begin()
        self.caller.subject.close()
        self.assert_fails(fired, ConnectionLost)
