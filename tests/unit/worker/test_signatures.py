"""A worker whose service has keys: the requests that it runs, refuses and drops, and the replies that it signs."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TMessageType

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import Work
from rpc.amqp.codec.properties import decode_properties, encode_properties, split_properties
from rpc.context import CallContext, current_call
from rpc.envelope import CODECS, read_application_exception
from rpc.errors import AccessDenied, ConfigurationError
from rpc.interceptors import WorkerInterceptor
from rpc.keys import Keys
from rpc.log_limit import LogLimit
from rpc.messages import Properties
from rpc.signing import ONEWAY_LIFETIME, Kind, sign, verify
from rpc.worker.call import WorkerCall
from rpc.worker.service import ThriftService
from rpc.worker.signatures import Signatures
from tests.unit.logs import log_lines
from tests.unit.signed import BATCH, MOBILE, NOW, keys_of
from tests.unit.wire import Published
from tests.unit.worker.served import OWN, SHARED
from tests.unit.worker.test_server import Handler, ServingTestCase

Calculator: Any = CalculatorStub
BINARY = CODECS["binary"]

ARGUMENTS: dict[str, tuple[Any, ...]] = {"add": (1, 2), "calculate": (1, Work())}


class SignedTestCase(ServingTestCase):
    """A service that takes signed requests only.

    :ivar wall: the time of day at both ends.
    """

    def setUp(self) -> None:
        self.wall = NOW
        self.keys = self.keys_of(mobile=MOBILE, batch=BATCH)
        self.serve(keys=self.keys, require_signature=True)

    def keys_of(self, **secrets: bytes) -> Keys:
        """Keys on the test's time of day."""
        return keys_of(self.mktemp(), lambda: self.wall, **secrets)

    def body(self, name: str) -> bytes:
        """A request of this method."""
        struct = getattr(Calculator, f"{name}_args")(*ARGUMENTS.get(name, ()))
        kind = TMessageType.ONEWAY if name == "zip" else TMessageType.CALL
        return BINARY.encode(name, kind, 7, struct)

    def signed(
        self,
        name: str = "add",
        *,
        keys: Keys | None = None,
        lifetime: int = 5000,
        service: str = "Calculator",
        **given: Any,
    ) -> Properties:
        """The properties of a signed request."""
        reply_to = None if name == "zip" else "amq.gen-replies"
        properties = Properties(**({"reply_to": reply_to, "correlation_id": "c", "message_id": "m"} | given))
        keys = keys or self.keys
        lifetime = ONEWAY_LIFETIME if name == "zip" else lifetime
        encoded, _ = sign(
            keys,
            keys.signing,
            Kind.REQUEST,
            service,
            encode_properties(properties),
            self.body(name),
            lifetime=lifetime,
        )
        return decode_properties(encoded)

    def deliver(self, properties: Properties, name: str = "add", *, again: bool = False, consumer: str = SHARED) -> int:
        """Deliver a request, and return its tag."""
        key = "Calculator" if consumer == OWN else "key"
        exchange = "rpc.broadcast" if consumer == OWN else "rpc"
        return self.wire.deliver(self.body(name), properties, consumer, again, key, exchange)

    def proof(self, published: Published, properties: Properties, kind: Kind = Kind.REPLY) -> str:
        """Check that a message answers the request with these properties; return the name of its key."""
        text = str((properties.headers or {})["rpc-signature"])
        parts = split_properties(encode_properties(published.properties))
        return verify(self.keys, kind, "Calculator", parts, published.body, (text,)).key.name

    def refusal(self, published: Published) -> str:
        """Return the text of a refusal of access."""
        self.assertEqual((published.properties.headers or {})["rpc-outcome"], "access-denied")
        _, kind, _, start = BINARY.read_header(published.body)
        self.assertEqual(kind, TMessageType.EXCEPTION)
        return str(read_application_exception(BINARY, published.body, start))

    def is_signed(self, published: Published) -> bool:
        """Whether a message has a signature."""
        return "rpc-signature" in (published.properties.headers or {})


class RequestTests(SignedTestCase):
    """Requests, with and without a valid signature."""

    def test_runs_a_signed_request_and_signs_the_reply_with_its_key(self) -> None:
        """Any key of the file will do, and the handler sees its name."""
        seen: list[CallContext] = []

        def answer() -> int:
            context = current_call()
            assert context is not None
            seen.append(context)
            return 3

        self.handler.answer = answer
        for name, secret in (("mobile", MOBILE), ("batch", BATCH)):
            properties = self.signed(keys=self.keys_of(**{name: secret}))
            self.deliver(properties)
            self.assertEqual(self.proof(self.reply(), properties), name)
        self.assertEqual([context.signed_by for context in seen], ["mobile", "batch"])
        self.assertEqual([dict(context.metadata) for context in seen], [{}, {}])

    def test_interceptors_see_the_key(self) -> None:
        """``None`` for a request that is not signed."""
        seen: list[str | None] = []

        class Seeing(WorkerInterceptor):
            def before(self, call: WorkerCall) -> None:
                seen.append(call.signed_by)

        self.serve(keys=self.keys, interceptors=[Seeing()])
        self.deliver(self.signed())
        self.deliver(Properties(reply_to="amq.gen-replies"))
        self.assertEqual(seen, ["mobile", None])

    def test_refuses_a_request_without_a_signature(self) -> None:
        """The refusal is not signed, because the request has no signer. A oneway request becomes a dead letter."""
        self.deliver(Properties(reply_to="amq.gen-replies"))
        reply = self.reply()
        self.assertIn("takes signed requests only", self.refusal(reply))
        self.assertFalse(self.is_signed(reply))
        self.deliver(Properties(), "zip")
        (letter,) = self.wire.take()
        self.assertEqual(letter.exchange, "rpc.dead")
        self.assertIn("signed requests only", (letter.properties.headers or {})["rpc-dead-reason"])
        self.assertEqual(self.handler.ran, [])

    def test_refuses_a_request_that_was_changed(self) -> None:
        """The refusal is not signed: it could be passed off as the answer to the request that was copied."""
        properties = self.signed()
        self.wire.deliver(BINARY.encode("add", TMessageType.CALL, 7, Calculator.add_args(1, 3)), properties, SHARED)
        reply = self.reply()
        self.assertIn("is not right", self.refusal(reply))
        self.assertFalse(self.is_signed(reply))
        self.assertEqual(self.handler.ran, [])

    def test_refuses_unknown_keys_other_secrets_and_other_services(self) -> None:
        """Each is named."""
        for properties, text in (
            (self.signed(keys=self.keys_of(tablet=MOBILE)), "'tablet'"),
            (self.signed(keys=self.keys_of(mobile=BATCH)), "is not right"),
            (self.signed(service="Glossary"), "is not right"),
        ):
            self.deliver(properties)
            self.assertIn(text, self.refusal(self.reply()))
        self.assertEqual(self.handler.ran, [])

    def test_takes_unsigned_requests_when_signatures_are_optional(self) -> None:
        """Their replies are not signed. A wrong signature is refused all the same."""
        self.serve(keys=self.keys)
        self.deliver(Properties(reply_to="amq.gen-replies"))
        self.assertFalse(self.is_signed(self.reply()))
        self.deliver(self.signed(keys=self.keys_of(mobile=BATCH)))
        self.refusal(self.reply())
        self.assertEqual(self.handler.ran, ["add"])

    def test_a_service_without_keys_ignores_signatures(self) -> None:
        """Clients may sign before its workers have keys."""
        self.serve()
        self.deliver(self.signed())
        self.assertFalse(self.is_signed(self.reply()))

    def test_signs_errors_and_rejections(self) -> None:
        """Every kind of answer to a signed request."""
        self.serve(keys=self.keys, require_signature=True, max_message_size=20)
        properties = self.signed()
        self.deliver(properties)
        reply = self.reply()
        self.assertEqual(reply.properties.headers and reply.properties.headers["rpc-outcome"], "too-large")
        self.assertEqual(self.proof(reply, properties), "mobile")

    def test_rejects_a_body_that_was_not_gathered(self) -> None:
        """Its signature cannot be verified, so the rejection is not signed."""
        self.serve(keys=self.keys, require_signature=True, max_message_size=20)
        self.wire.peer.connection.max_content = 20
        for properties in (self.signed(), Properties(reply_to="amq.gen-replies")):
            self.wire.deliver(self.body("add") + bytes(50_000), properties, SHARED)
            reply = self.reply()
            self.assertEqual(dict(reply.properties.headers or {}), {"rpc-outcome": "too-large"})
        self.assertEqual(self.handler.ran, [])

    def test_signs_metadata_of_the_reply_or_answers_with_an_error(self) -> None:
        """A value that cannot be signed is a mistake of the handler."""

        def answer() -> int:
            context = current_call()
            assert context is not None
            context.reply_headers["cost"] = cost
            return 3

        self.handler.answer = answer
        for cost in (7, 0.5):
            properties = self.signed(correlation_id=str(cost))
            self.deliver(properties)
            reply = self.reply()
            self.assertEqual(self.proof(reply, properties), "mobile")
            self.assertEqual("cost" in (reply.properties.headers or {}), cost == 7)
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        _, kind, _, _ = BINARY.read_header(reply.body)
        self.assertEqual(kind, TMessageType.EXCEPTION)

    def test_signs_keepalives(self) -> None:
        """Otherwise a peer could keep a call waiting whose worker is lost."""
        properties = self.signed("calculate", headers={"rpc-liveness": 1000})
        self.deliver(properties, "calculate")
        self.assertEqual(self.proof(self.reply_of_any_kind(), properties, Kind.KEEPALIVE), "mobile")

    def reply_of_any_kind(self) -> Published:
        """The one message that was published."""
        (published,) = self.wire.take()
        return published

    def test_requiring_signatures_needs_keys(self) -> None:
        """Otherwise every request would be refused."""
        self.assertRaises(ConfigurationError, ThriftService, CalculatorStub, Handler(), require_signature=True)
        self.assertRaises(ConfigurationError, ThriftService, CalculatorStub, Handler(), keys="/nowhere")


class TimeTests(SignedTestCase):
    """The time in a signature."""

    def test_refuses_what_is_too_old_or_too_new(self) -> None:
        """By more than the clock skew of 60 s. The refusal is signed: the client can believe it, and set its clock."""
        for seconds, runs in ((-60, True), (65, True), (-60.002, False), (65.002, False)):
            self.wall = NOW
            properties = self.signed(message_id=str(seconds))
            self.wall = NOW + seconds
            self.deliver(properties)
            reply = self.reply()
            self.assertEqual(self.proof(reply, properties), "mobile")
            if not runs:
                self.assertIn("clock", self.refusal(reply))
        self.assertEqual(self.handler.ran, ["add"] * 2)

    def test_a_oneway_request_holds_for_a_day(self) -> None:
        """Then it becomes a dead letter, which is not lost."""
        for seconds in (24 * 3600 + 60, 24 * 3600 + 61):
            self.wall = NOW
            properties = self.signed("zip", message_id=str(seconds))
            self.wall = NOW + seconds
            self.deliver(properties, "zip")
        self.assertEqual(self.handler.ran, ["zip"])
        (letter,) = self.wire.take()
        self.assertIn("its signature ended 61 s ago", (letter.properties.headers or {})["rpc-dead-reason"])

    def test_the_signed_deadline_bounds_the_expiration(self) -> None:
        """The expiration changes on the way, so it is not signed, and a peer may have raised it."""
        for expiration in ("86400000", None):
            self.serve(keys=self.keys, require_signature=True)
            self.deliver(self.signed("calculate", expiration=expiration), "calculate")
            self.wire.clock.advance(64.9)
            self.assertEqual(self.worker.running, 1)
            self.wire.clock.advance(0.2)
            self.assertEqual(self.worker.running, 0)

    def test_a_shorter_expiration_is_the_deadline(self) -> None:
        """As without a signature."""
        self.deliver(self.signed("calculate", expiration="1000"), "calculate")
        self.wire.clock.advance(1.01)
        self.assertEqual(self.worker.running, 0)


class ReplayTests(SignedTestCase):
    """Requests that come more than once."""

    def test_drops_a_replay_without_an_answer(self) -> None:
        """While the request runs, and afterwards. An answer would end the call of the true caller."""
        lines = log_lines(self)
        properties = self.signed("calculate")
        self.deliver(properties, "calculate")
        for consumer in (SHARED, OWN):
            tag = self.deliver(properties, "calculate", consumer=consumer)
            self.assertEqual((self.handler.ran, self.wire.take(), self.worker.running), (["calculate 1"], [], 1))
            self.assertEqual(self.settled(), [("ack", tag, False)])
        self.handler.held[0].callback(4)
        self.assertEqual(self.proof(self.reply(), properties), "mobile")
        self.deliver(properties, "calculate")
        self.assertEqual((self.handler.ran, self.wire.take()), (["calculate 1"], []))
        self.worker.wire.clock.advance(1)
        self.assertEqual(len([line for line in lines if "signature has begun here before" in line]), 2)
        self.assertIn("1 more within 1 s", lines[-1])

    def test_drops_a_replay_that_would_be_rejected(self) -> None:
        """The rejection would say to the true caller that its request was not run."""
        properties = self.signed("calculate")
        self.deliver(properties, "calculate")
        self.worker.dispatcher.stop_accepting()
        tag = self.deliver(properties, "calculate", consumer=OWN)
        self.assertEqual((self.wire.take(), self.settled()), ([], [("ack", tag, False)]))
        other = self.signed("calculate", message_id="other")
        self.deliver(other, "calculate", consumer=OWN)
        reply = self.reply()
        self.assertEqual((reply.properties.headers or {})["rpc-outcome"], "stopping")
        self.assertEqual(self.proof(reply, other), "mobile")

    def test_drops_a_replay_that_claims_to_be_a_copy(self) -> None:
        """A peer can write the header of copies, and can have the broker deliver a message again."""
        properties = self.signed()
        self.deliver(properties, consumer=OWN)
        self.assertEqual(self.proof(self.reply(), properties), "mobile")
        for headers in ({}, {"rpc-deliveries": 1}, {"rpc-renewals": 1}):
            for again in (False, True):
                copied = Properties(
                    reply_to="amq.gen-replies",
                    correlation_id="c",
                    message_id="m",
                    headers={**(properties.headers or {}), **headers},
                )
                self.deliver(copied, again=again)
                self.wire.settle()
                for published in self.wire.take():  # a copy that is counted comes back to this worker
                    self.assertIn(published.routing_key, ("rpc.Calculator", "rpc.Calculator.quarantine"))
                    self.wire.deliver(published.body, published.properties, SHARED)
                    self.wire.settle()
        self.assertEqual((self.handler.ran, self.wire.take()), (["add"], []))

    def test_runs_each_attempt(self) -> None:
        """Its caller has signed it anew, in another millisecond or with another number."""
        self.deliver(self.signed())
        self.deliver(self.signed(headers={"rpc-attempt": 2}))
        self.wall += 0.001
        self.deliver(self.signed())
        self.assertEqual((self.handler.ran, len(self.wire.take())), (["add"] * 3, 3))

    def test_runs_a_request_that_was_held_when_its_channel_was_lost(self) -> None:
        """It comes again, and its signature has not begun here."""
        self.serve(keys=self.keys, require_signature=True, concurrency=1)
        running, held = self.signed("calculate", message_id="running"), self.signed(message_id="held")
        self.deliver(running, "calculate")
        self.deliver(held)
        self.wire.close_channel()
        self.worker.open()
        self.deliver(running, "calculate", again=True)
        self.deliver(held, again=True)
        self.handler.held[0].callback(4)
        self.wire.settle()
        self.assertEqual(self.handler.ran, ["calculate 1", "add"])
        replies = self.wire.take()
        self.assertEqual([self.proof(*pair) for pair in zip(replies, (running, held), strict=True)], ["mobile"] * 2)

    def test_answers_again_what_has_run_when_the_ack_was_lost(self) -> None:
        """The answer is signed as well."""
        properties = self.signed()
        self.deliver(properties)
        self.reply()
        self.wire.close_channel()
        self.worker.open()
        self.deliver(properties, again=True)
        self.assertEqual((self.handler.ran, self.proof(self.reply(), properties)), (["add"], "mobile"))

    def test_runs_a_copy_of_a_request_that_another_worker_did_not_finish(self) -> None:
        """This worker counts it, publishes the copy, and runs that. The signature holds for the copy."""
        properties = self.signed(headers={"tenant": "acme", "n": 3}, expiration="4000")
        self.deliver(properties, again=True)
        self.wire.settle()
        (copy,) = self.wire.take()
        self.assertEqual((copy.properties.headers or {})["rpc-deliveries"], 1)
        self.wire.deliver(copy.body, copy.properties, SHARED)
        self.wire.settle()
        self.assertEqual((self.handler.ran, self.proof(self.reply(), properties)), (["add"], "mobile"))

    def test_a_rejected_request_is_rejected_again(self) -> None:
        """When its channel is lost before it is acked. Otherwise a oneway request would be no dead letter."""
        body = self.body("zip")[:-1] + b"junk"
        encoded, _ = sign(
            self.keys, self.keys.signing, Kind.REQUEST, "Calculator", b"\0\0", body, lifetime=ONEWAY_LIFETIME
        )
        for _ in range(2):
            self.wire.deliver(body, encoded, SHARED)
            (letter,) = self.wire.take()
            self.assertEqual(letter.exchange, "rpc.dead")

    def test_interceptors_do_not_see_replays(self) -> None:
        """A replay is dropped before they are asked. A call that one of them refuses has not begun."""
        asked: list[str | None] = []

        class Noting(WorkerInterceptor):
            def before(self, call: Any) -> None:
                asked.append(call.message_id)
                if call.message_id == "refused":
                    raise AccessDenied("no")

        self.serve(keys=self.keys, require_signature=True, interceptors=[Noting()])
        for message_id in ("m", "refused"):
            properties = self.signed(message_id=message_id)
            for _ in range(2):
                self.deliver(properties)
        self.assertEqual((asked, self.handler.ran), (["m", "refused", "refused"], ["add"]))
        self.assertEqual(len(self.wire.take()), 3)

    def test_deduplication_answers_a_replay_again(self) -> None:
        """To the signed reply queue, which is the caller's."""
        self.serve(keys=self.keys, require_signature=True, deduplicate=True)
        properties = self.signed()
        for _ in range(2):
            self.deliver(properties)
            self.assertEqual(self.proof(self.reply(), properties), "mobile")
        self.assertEqual(self.handler.ran, ["add"])

    def test_an_unsigned_request_neither_joins_nor_gets_a_kept_reply(self) -> None:
        """Its sender may have read the id and the body of another's request."""
        self.serve(keys=self.keys, require_signature=True, deduplicate=True)
        self.deliver(self.signed("calculate"), "calculate")
        stolen = Properties(message_id="m", reply_to="amq.gen-thief", headers={"rpc-deliveries": 1})
        self.deliver(stolen, "calculate")
        self.handler.held[0].callback(4)
        self.deliver(stolen, "calculate")
        answers = [published for published in self.wire.take() if published.routing_key == "amq.gen-thief"]
        self.assertEqual(["signed requests only" in self.refusal(each) for each in answers], [True, True])

    def test_remembers_a_bounded_number(self) -> None:
        """A signature that cannot be replayed any more is forgotten first, then the oldest."""
        wire = self.wire
        signatures = Signatures("Calculator", self.keys, True, LogLimit(wire.clock), most=10)
        requests: list[Any] = []

        def begin(lifetime: int) -> None:
            properties = encode_properties(self.signed(lifetime=lifetime, message_id=str(len(requests))))
            signed = verify(self.keys, Kind.REQUEST, "Calculator", split_properties(properties), self.body("add"))
            requests.append(Began(signed))
            self.assertTrue(signatures.begins(requests[-1]))

        for number in range(10):
            begin(1000 if number < 5 else 1_000_000)
        self.wall += 62
        begin(1_000_000)
        self.assertEqual(len(signatures), 6)
        self.assertEqual([signatures.is_replay(each) for each in requests], [False] * 5 + [True] * 6)
        for _ in range(50):
            begin(1_000_000)
            self.assertLessEqual(len(signatures), 10)
        self.assertFalse(signatures.begins(requests[-1]))


class Began:
    """As much of a request as the memory of signatures needs."""

    def __init__(self, signed: Any) -> None:
        self.signed = signed


class CancellationTests(SignedTestCase):
    """Cancellations."""

    def cancel_call(self, keys: Keys | None, *, seconds: float = 0.0, kind: Kind = Kind.CANCELLATION) -> None:
        """Cancel the call ``m``."""
        encoded = encode_properties(Properties(type="rpc.cancel"))
        if keys is not None:
            encoded, _ = sign(keys, keys.signing, kind, "Calculator", encoded, b"m", lifetime=1000)
        self.wall += seconds
        self.wire.deliver(b"m", encoded, OWN, False, "Calculator", "rpc.broadcast")

    def test_obeys_signed_ones_only(self) -> None:
        """Others are acked and ignored: wrong ones, too old ones, and other kinds of messages."""
        self.deliver(self.signed("calculate"), "calculate")
        self.cancel_call(None)
        self.cancel_call(self.keys_of(mobile=BATCH))
        self.cancel_call(self.keys, seconds=62)
        self.cancel_call(self.keys, kind=Kind.REQUEST)
        self.assertEqual(self.worker.running, 1)
        self.cancel_call(self.keys)
        self.assertEqual(self.worker.running, 0)

    def test_obeys_unsigned_ones_when_signatures_are_optional(self) -> None:
        """As it runs unsigned requests."""
        self.serve(keys=self.keys)
        self.deliver(self.signed("calculate"), "calculate")
        self.cancel_call(self.keys_of(mobile=BATCH))
        self.assertEqual(self.worker.running, 1)
        self.cancel_call(None)
        self.assertEqual(self.worker.running, 0)
