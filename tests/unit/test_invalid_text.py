"""Bytes of a ``string`` that are not UTF-8 are refused in all protocols, or replaced with an option."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException, TMessageType

from rpc.errors import InvalidReply
from tests.unit.generated_ends import OurEnds
from tests.unit.value_rule_case import NOT_UTF_8, ValueRuleCase


class InvalidTextTests(ValueRuleCase):
    """Bytes of a ``string`` that are not UTF-8, from a peer."""

    def request(self, ours: OurEnds, name: str, make: Any, text: bytes) -> bytes:
        """Return a request of a peer with `text` in a string: `make` returns the argument with it."""
        arguments = getattr(self.stub, f"{name}_args")
        marker = "#" * len(text)
        written = ours.codec.encode(name, TMessageType.CALL, 1, arguments(make(marker)))
        return written.replace(marker.encode(), text)

    def reply(self, ours: OurEnds, name: str, make: Any, text: bytes) -> bytes:
        """Return the same as the reply to the last call."""
        result = getattr(self.stub, f"{name}_result")
        marker = "#" * len(text)
        written = ours.codec.encode(name, TMessageType.REPLY, ours.seqid, result(make(marker)))
        return written.replace(marker.encode(), text)

    def places(self) -> list[tuple[str, Any]]:
        """Return methods, and functions that make their argument with a text in it."""
        types = self.types
        return [
            ("text", lambda text: text),
            ("strings", lambda text: ["é", text]),
            ("blobs", lambda text: {text: b"\xff"}),
            ("either", lambda text: types.Either(text=text)),
            ("tree", lambda text: types.Tree(branches=[types.Tree(-1, [], {text: types.Tree()})])),
            ("bad", lambda text: types.Bad(text, None, -1)),
            ("containers", lambda text: types.Containers(words={text}, errors={types.Worse(text)})),
        ]

    def test_it_is_refused_by_the_worker(self) -> None:
        """At any depth, in each protocol."""
        for name, make in self.places():
            for text in NOT_UTF_8:
                for ours in self.ends():
                    request = self.request(ours, name, make, text)
                    self.assertEqual(
                        self.served(ours, request), TApplicationException.PROTOCOL_ERROR, (ours.protocol, name, text)
                    )

    def test_it_is_refused_by_the_client(self) -> None:
        """The reply is invalid."""
        for name, make in self.places():
            for text in NOT_UTF_8:
                for ours in self.ends():
                    ours.call(name, (None,))
                    reply = self.reply(ours, name, make, text)
                    self.assertIsInstance(ours.settle(reply)[1], InvalidReply, (ours.protocol, name, text))

    def test_it_is_replaced_with_the_option(self) -> None:
        """As Python replaces it, in each protocol, by both ends."""
        for name, make in self.places():
            for text in NOT_UTF_8:
                expected = make(text.decode("utf-8", "replace"))
                for ours in self.ends("replace"):
                    request = self.request(ours, name, make, text)
                    self.assertEqual(self.served(ours, request), expected, (ours.protocol, name, text))
                    ours.call(name, (None,))
                    reply = self.reply(ours, name, make, text)
                    self.assertEqual(ours.settle(reply), ("returns", expected), (ours.protocol, name, text))

    def test_the_text_of_a_workers_exception_follows_the_rule(self) -> None:
        """It is a string, too."""
        for option, expected in (("refuse", InvalidReply), ("replace", TApplicationException)):
            for ours in self.ends(option):
                ours.call("text", ("x",))
                written = ours.codec.encode("text", TMessageType.EXCEPTION, ours.seqid, TApplicationException(6, "#"))
                error = ours.settle(written.replace(b"#", b"\xff"))[1]
                self.assertIsInstance(error, expected)
                if option == "replace":
                    self.assertEqual(error.message, "\ufffd")

    def test_text_with_the_replacement_character_is_text(self) -> None:
        """A peer may send U+FFFD."""
        for text in ("\ufffd", "ok \ufffd", "é\ufffd𝄞"):
            for name, make in self.places():
                self.assert_same_everywhere(name, make(text), make(text))

    def test_half_a_surrogate_pair_in_a_json_escape_follows_the_rule(self) -> None:
        """It is no text either."""
        written = OurEnds(self.stub, "json").codec.encode("text", TMessageType.CALL, 1, self.stub.text_args("#"))
        begin, end = written.split(b"#")
        for escape, expected in (
            (rb"\ud834", "\ufffd"),
            (rb"\udd1e\uD834", "\ufffd\ufffd"),
            (rb"\ud834\ud834\udd1e", "\ufffd𝄞"),
            (rb"\\ud834\\\ud834", "\\ud834\\\ufffd"),
        ):
            request = begin + escape + end
            refused = self.served(OurEnds(self.stub, "json"), request)
            self.assertEqual(refused, TApplicationException.PROTOCOL_ERROR)
            self.assertEqual(self.served(OurEnds(self.stub, "json", "replace"), request), expected)
        self.assertEqual(self.served(OurEnds(self.stub, "json"), begin + rb"\\ud834\ud834\udd1e" + end), "\\ud834𝄞")
