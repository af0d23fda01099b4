"""Signatures of messages: the documented vector, the covered fields, and the fields that may change on the way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.fields import LongLong, encode_field, join_table
from rpc.amqp.codec.properties import HEADERS, decode_properties, encode_properties, join_properties, split_properties
from rpc.errors import CodecError
from rpc.keys import Keys
from rpc.messages import Properties
from rpc.signing import Kind, NotSigned, SignatureError, Signed, check_signable, sign, verify
from tests.unit.signed import BATCH, MOBILE, NOW, keys_of

PAGE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text("utf-8")

REQUEST = bytes.fromhex("80010001000000076578706c61696e000000010b00010000000352504300")
REPLY = bytes.fromhex(
    "80010002000000076578706c61696e000000010b00000000001572656d6f74652070726f6365647572652063616c6c00"
)

PROPERTIES = Properties(
    content_type="application/vnd.apache.thrift.binary",
    correlation_id="call 1",
    message_id="call 1",
    reply_to="amq.gen-example",
    headers={"tenant": "acme", "rpc-attempt": 2},
)


@attrs.frozen
class Message:
    """A message as it comes, and the facts that its reader knows of it."""

    properties: Properties
    body: bytes = REQUEST
    kind: Kind = Kind.REQUEST
    service: str = "Glossary"
    answers: str = ""

    def signed(self, keys: Keys, lifetime: int = 5000) -> Message:
        """Return the message with its signature."""
        properties = encode_properties(self.properties)
        encoded, _ = sign(
            keys, keys.signing, self.kind, self.service, properties, self.body, lifetime=lifetime, answers=self.answers
        )
        return attrs.evolve(self, properties=decode_properties(encoded))

    def verified(self, keys: Keys) -> Signed:
        """Verify it."""
        parts = split_properties(encode_properties(self.properties))
        return verify(keys, self.kind, self.service, parts, self.body, (self.answers,))

    @property
    def headers(self) -> dict[str, Any]:
        """Its headers."""
        return dict(self.properties.headers or {})

    @property
    def signature(self) -> str:
        """Its signature."""
        return str(self.headers["rpc-signature"])

    def with_headers(self, **headers: Any) -> Message:
        """Return the message with other headers; ``None`` removes one."""
        changed = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        left = {name: value for name, value in changed.items() if value is not None}
        return attrs.evolve(self, properties=attrs.evolve(self.properties, headers=left))

    def with_properties(self, **properties: Any) -> Message:
        """Return the message with other properties."""
        return attrs.evolve(self, properties=attrs.evolve(self.properties, **properties))


class VectorTests(SynchronousTestCase):
    """The documented bytes."""

    def test_makes_the_signatures_on_the_page_of_the_wire(self) -> None:
        """A request with metadata, and its reply."""
        documented = re.findall(r"^1 mobile \d+ \d+ [0-9a-f]{64}$", PAGE, re.MULTILINE)
        time = NOW
        keys = keys_of(self.mktemp(), lambda: time)
        request = Message(PROPERTIES).signed(keys)
        time = NOW + 0.02
        answer = attrs.evolve(PROPERTIES, reply_to=None, headers=None)
        reply = Message(answer, REPLY, Kind.REPLY, answers=request.signature).signed(keys, lifetime=0)
        self.assertEqual([request.signature, reply.signature], documented)
        self.assertIn(MOBILE.hex(), PAGE)


class CoveredTests(SynchronousTestCase):
    """The fields that a signature covers."""

    def setUp(self) -> None:
        self.keys = keys_of(self.mktemp(), mobile=MOBILE, batch=BATCH)
        self.message = Message(PROPERTIES, answers="asked").signed(self.keys)

    def assert_refused(self, message: Message, text: str = "is not right") -> None:
        """The signature does not hold for `message`."""
        self.assertIn(text, str(self.assertRaises(SignatureError, message.verified, self.keys)))

    def test_tells_key_time_and_lifetime(self) -> None:
        """As the signer wrote them."""
        signed = self.message.verified(self.keys)
        self.assertEqual((signed.key.name, signed.time, signed.lifetime), ("mobile", int(NOW * 1000), 5000))
        self.assertNotIn(MOBILE.hex(), repr(signed))

    def test_refuses_a_change_of_any_covered_value(self) -> None:
        """One at a time."""
        message, head = self.message, self.message.signature.split(" ")
        self.assert_refused(attrs.evolve(message, body=REQUEST[:-1] + b"\x01"))
        self.assert_refused(attrs.evolve(message, body=b""))
        for kind in Kind:
            if kind is not Kind.REQUEST:
                self.assert_refused(attrs.evolve(message, kind=kind))
        self.assert_refused(attrs.evolve(message, service="Thesaurus"))
        self.assert_refused(attrs.evolve(message, answers="asked otherwise"))
        for name in ("content_type", "correlation_id", "message_id", "reply_to"):
            self.assert_refused(message.with_properties(**{name: "other"}))
            self.assert_refused(message.with_properties(**{name: None}))
        for changed in (
            {"tenant": "other"},
            {"tenant": b"acme"},
            {"tenant": None},
            {"user": "root"},
            {"rpc_attempt": 3},
            {"rpc_attempt": None},
            {"rpc_attempt": "2"},
            {"rpc_attempt": True},
            {"rpc_outcome": "overloaded"},
            {"rpc_maybe_executed": True},
            {"rpc_keepalive": "host.1.ab"},
            {"rpc_liveness": 1000},
        ):
            self.assert_refused(message.with_headers(**changed))
        for place, word in ((1, "batch"), (2, "1767225600001"), (2, "01767225600000"), (3, "5001")):
            words = [*head[:place], word, *head[place + 1 :]]
            self.assert_refused(message.with_headers(rpc_signature=" ".join(words)))

    def test_holds_for_what_changes_on_the_way(self) -> None:
        """The headers of workers' copies and of letters, and brokers' changes to a table."""
        message = self.message.with_headers(
            rpc_deliveries=2, rpc_renewals=1, rpc_dead_reason="x", rpc_caller="guest", x_delivery_count=3, x_death=[]
        ).with_properties(expiration="1", delivery_mode=2, priority=3, user_id="guest", type=None, timestamp=1)
        reordered = attrs.evolve(message.properties, headers=dict(sorted(message.headers.items(), reverse=True)))
        resized = message.with_headers(rpc_attempt=LongLong(2), CC=["other"])
        for copy in (message, attrs.evolve(message, properties=reordered), resized):
            self.assertEqual(copy.verified(self.keys).key.name, "mobile")

    def test_holds_for_a_number_in_any_size(self) -> None:
        """Each of AMQP's types for whole numbers."""
        for value, forms in (
            (-2, [b"b\xfe", b"s\xff\xfe", b"I" + b"\xff" * 3 + b"\xfe", b"l" + b"\xff" * 7 + b"\xfe"]),
            (200, [b"B\xc8", b"u\0\xc8", b"s\0\xc8", b"i\0\0\0\xc8", b"L" + b"\0" * 7 + b"\xc8"]),
        ):
            signed = Message(attrs.evolve(PROPERTIES, headers={"n": value})).signed(self.keys)
            parts = [*split_properties(encode_properties(signed.properties))]
            for form in forms:
                table = {"rpc-signature": encode_field(signed.signature), "n": form}
                parts[HEADERS] = join_table(table)
                self.assertEqual(verify(self.keys, Kind.REQUEST, "Glossary", parts, REQUEST).lifetime, 5000)

    def test_an_unknown_key_is_named(self) -> None:
        """The operator sees which key the file lacks."""
        other = Message(PROPERTIES).signed(keys_of(self.mktemp(), tablet=MOBILE))
        self.assert_refused(other, "'tablet', which is not among the keys here")

    def test_another_secret_of_the_same_name_is_refused(self) -> None:
        """Also the secret of another key of the file."""
        for secret in (BATCH, MOBILE[:-1], MOBILE + b"\1"):
            self.assert_refused(Message(PROPERTIES).signed(keys_of(self.mktemp(), mobile=secret)))

    def test_an_absent_signature_is_told_from_a_wrong_one(self) -> None:
        """A service may take requests without a signature."""
        message = Message(PROPERTIES)
        self.assertRaises(NotSigned, message.verified, self.keys)
        self.assertRaises(NotSigned, attrs.evolve(message, properties=Properties()).verified, self.keys)

    def test_malformed_signatures_are_refused(self) -> None:
        """A peer can send anything."""
        _, key, time, lifetime, mac = self.message.signature.split(" ")
        values: tuple[Any, ...] = (
            "",
            "1",
            7,
            True,
            None,
            [],
            self.message.signature.encode(),
            f"2 {key} {time} {lifetime} {mac}",
            f"1 {key} {time} {lifetime} {mac} ",
            f"1  {key} {time} {lifetime} {mac}",
            f"1 {key} -1 {lifetime} {mac}",
            f"1 {key} ² {lifetime} {mac}",
            f"1 {key} {'9' * 16} {lifetime} {mac}",
            f"1 {key} {time}  {mac}",
            f"1 {key} {time} {lifetime} {mac.upper()}",
            f"1 {key} {time} {lifetime} {mac[:-1]}",
            f"1 {key} {time} {lifetime} {'é' * 64}",
        )
        for value in values:
            headers = {**self.message.headers, "rpc-signature": value}
            message = self.message.with_properties(headers=headers)
            error = self.assertRaises(SignatureError, message.verified, self.keys)
            self.assertNotIsInstance(error, NotSigned)
        parts = [*split_properties(encode_properties(self.message.properties))]
        parts[HEADERS] = b"\0\0\0\x05\x01a?\0\0"
        self.assertRaises(SignatureError, verify, self.keys, Kind.REQUEST, "Glossary", parts, REQUEST)

    def test_too_many_headers_are_not_read(self) -> None:
        """Verifying must not take longer than reading."""
        headers: dict[str, Any] = {str(number): number for number in range(600)}
        message = Message(attrs.evolve(PROPERTIES, headers=headers)).signed(self.keys)
        self.assert_refused(message, "its headers cannot be read: the headers have more than 600 values")

    def test_values_that_cannot_be_signed_are_named(self) -> None:
        """The sender's error names the header."""
        for value in (1.5, None, [1], {"a": 1}, "\udcff"):
            properties = attrs.evolve(PROPERTIES, headers={"odd": value})
            message = Message(properties)
            self.assertIn("'odd'", str(self.assertRaises(CodecError, message.signed, self.keys)))
            self.assertRaises(CodecError, check_signable, {"odd": value})
        check_signable({"a": "b", "c": b"\xff", "d": -1, "e": False})


names = st.text(max_size=8).filter(lambda name: not name.startswith(("rpc-", "x-")) and name not in ("CC", "BCC"))
header_values = st.one_of(
    st.text(max_size=8), st.binary(max_size=8), st.booleans(), st.integers(min_value=-(2**63), max_value=2**63 - 1)
)
short_texts = st.one_of(st.none(), st.text(max_size=8))
messages = st.builds(
    Message,
    properties=st.builds(
        Properties,
        content_type=short_texts,
        correlation_id=short_texts,
        message_id=short_texts,
        reply_to=short_texts,
        headers=st.one_of(st.none(), st.dictionaries(names, header_values, max_size=4)),
    ),
    body=st.binary(max_size=40),
    kind=st.sampled_from(Kind),
    service=st.text(max_size=8),
    answers=st.text(max_size=8),
)


def meaning(message: Message) -> Any:
    """The fields that two messages with one MAC must have in common. Python takes 1 for True, AMQP does not."""
    properties = message.properties
    fields = [properties.content_type, properties.correlation_id, properties.message_id, properties.reply_to]
    headers = {name: (type(value), value) for name, value in message.headers.items()}
    return [field or "" for field in fields], headers, message.body, message.kind, message.service, message.answers


class DrawnTests(SynchronousTestCase):
    """Drawn messages."""

    def setUp(self) -> None:
        self.keys = keys_of(self.mktemp())

    @given(messages)
    def test_a_signed_message_verifies_after_it_was_written_anew(self, message: Message) -> None:
        """As a broker or a worker writes it."""
        signed = message.signed(self.keys)
        headers = dict(sorted(signed.headers.items()))
        parts = split_properties(encode_properties(attrs.evolve(signed.properties, headers=headers)))
        again = decode_properties(join_properties(parts))
        self.assertEqual(attrs.evolve(signed, properties=again).verified(self.keys).text, signed.signature)

    @given(messages, messages)
    def test_a_signature_holds_for_no_other_message(self, one: Message, other: Message) -> None:
        """The signature of one message on another one."""
        assume(meaning(one) != meaning(other))
        forged = other.with_headers(rpc_signature=one.signed(self.keys).signature)
        self.assertRaises(SignatureError, forged.verified, self.keys)

    @given(messages, st.data())
    def test_a_part_of_another_message_is_noticed(self, message: Message, data: st.DataObject) -> None:
        """Two messages that differ in a single value."""
        signed = message.signed(self.keys)
        name = data.draw(st.sampled_from(["body", "kind", "service", "answers", "reply_to", "message_id", "header"]))
        other = data.draw(messages)
        if name == "header":
            changed = signed.with_properties(headers={**signed.headers, data.draw(names): data.draw(header_values)})
        elif name in ("reply_to", "message_id"):
            changed = signed.with_properties(**{name: getattr(other.properties, name)})
        else:
            changed = attrs.evolve(signed, **{name: getattr(other, name)})
        assume(meaning(changed) != meaning(signed))
        self.assertRaises(SignatureError, changed.verified, self.keys)

    @given(st.binary(max_size=300), st.binary(max_size=40))
    def test_any_bytes_are_verified_or_refused(self, headers: bytes, body: bytes) -> None:
        """Nothing else is raised."""
        parts = [*split_properties(b"\0\0")]
        parts[HEADERS] = len(headers).to_bytes(4, "big") + headers
        self.assertRaises(SignatureError, verify, self.keys, Kind.REQUEST, "Glossary", parts, body)
