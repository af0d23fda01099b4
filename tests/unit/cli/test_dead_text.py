"""Dead letters as text, and the letters that words name."""

from __future__ import annotations

import json
from typing import Any

import click
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from rpc.cli.dead_body import Arguments, body_lines, dump
from rpc.cli.dead_choice import Choice
from rpc.cli.dead_letters import LONGEST_NAME
from rpc.cli.dead_text import heading, json_line, lines, some
from rpc.envelope import CODECS
from rpc.errors import ConfigurationError
from rpc.messages import Properties
from rpc.printable import printable
from rpc.topology import DeadLetterKind
from tests.unit.cli.dead_support import letter

Calculator: Any = CalculatorStub

CALL = 1
MALFORMED = b"\x20\x00\x00\x00\x00\x03\x01a?"  # headers with a field of an unknown type

DEAD = Properties(
    type="Calculator.add", message_id="x.1", headers={"rpc-dead-reason": "its body ends early", "user": "Ada"}
)


class TextTests(SynchronousTestCase):
    """Lines for people and for programs."""

    def test_aligns_the_columns_of_a_list(self) -> None:
        """A missing field is a question mark."""
        bare = letter(10, Properties(type="Calculator.multiply"), b"abc")
        self.assertEqual(
            list(lines([letter(9, DEAD, b"a" * 10), bare])),
            [
                " 9  unfinished  Calculator.add       10 bytes  x.1  its body ends early",
                "10  unfinished  Calculator.multiply   3 bytes  ?    no reason given",
            ],
        )
        self.assertEqual(list(lines([])), [])

    def test_a_long_name_does_not_move_the_columns_of_other_lines(self) -> None:
        """Columns have a largest width."""
        _, short = lines([letter(1, Properties(type="x" * 200)), letter(2, DEAD)])
        self.assertLess(len(short), 100)

    def test_writes_a_json_object_per_line(self) -> None:
        """A missing field is null, and all text is ASCII."""
        written = json_line(letter(1, Properties(message_id="\udcff\x1b")))
        self.assertTrue(written.isascii() and written.isprintable())
        self.assertEqual(
            json.loads(written),
            {
                "number": 1,
                "kind": "unfinished",
                "method": None,
                "size": 0,
                "original_size": None,
                "message_id": "\udcff\x1b",
                "reason": None,
            },
        )

    @given(st.text(st.characters(exclude_categories=())))
    def test_escapes_characters_that_a_terminal_obeys(self, text: str) -> None:
        """They would move the cursor, break a line or change the direction of writing."""
        self.assertTrue(printable(text).isprintable())

    def test_escapes_every_field_of_a_line(self) -> None:
        """Each field is written by a peer."""
        nasty = "\x1b[2J\n\u202e"
        properties = Properties(type=nasty, message_id=nasty, app_id=nasty, headers={"rpc-dead-reason": nasty})
        for line in (*lines([letter(1, properties)]), *heading(letter(1, properties))):
            self.assertTrue(line.isprintable(), line)

    def test_heading_has_all_properties_and_headers(self) -> None:
        """Those that are set."""
        self.assertEqual(
            list(heading(letter(3, DEAD))),
            [
                "letter 3",
                "  kind: unfinished",
                "  reason: its body ends early",
                "  header user: 'Ada'",
                "  message_id: x.1",
                "  type: Calculator.add",
            ],
        )

    def test_shows_that_a_letter_has_only_the_head_of_its_request(self) -> None:
        """With the size and the hash of the whole; its arguments are not read."""
        headers = {"rpc-dead-reason": "why", "rpc-dead-size": 70_000, "rpc-dead-sha256": "ab\x1b"}
        head = letter(1, Properties(type="S.f", headers=headers), b"abc", kind=DeadLetterKind.INVALID)
        self.assertEqual(list(lines([head])), ["1  invalid  S.f  3 of 70000 bytes  ?  why"])
        self.assertEqual(json.loads(json_line(head))["original_size"], 70_000)
        self.assertEqual(list(heading(head))[1:], ["  kind: invalid", "  reason: why", "  type: S.f"])
        self.assertEqual(
            list(body_lines(head, Arguments.of("generated.calculator.Calculator"), 512))[:3],
            [
                "only the first 3 of 70000 bytes were kept; it cannot be replayed",
                "SHA-256 of all bytes: ab\\u001b",
                "body: 3 bytes",
            ],
        )

    def test_shows_a_letter_with_malformed_properties(self) -> None:
        """In the list and alone."""
        (line,) = lines([letter(1, MALFORMED)])
        self.assertIn("malformed properties: ", line)
        self.assertIn("malformed properties: ", list(heading(letter(1, MALFORMED)))[2])

    def test_shows_a_reason_that_is_no_text(self) -> None:
        """Any client may publish to the queue of dead letters."""
        (line,) = lines([letter(1, Properties(headers={"rpc-dead-reason": [1, b"\xff"]}))])
        self.assertTrue(line.endswith("[1, b'\\xff']"), line)

    def test_takes_the_method_from_the_body_of_a_letter_without_a_type(self) -> None:
        """In each protocol. A body that is no message has none."""
        for protocol in CODECS.values():
            body = protocol.encode("add", CALL, 1, Calculator.add_args(1, 2))
            for made, shown in (
                (letter(1, Properties(content_type=protocol.content_type), body), "add"),
                (letter(1, Properties(content_type=protocol.content_type, type="S.f"), body), "S.f"),
                (letter(1, Properties(content_type=protocol.content_type), body[:3]), None),
                (letter(1, Properties(content_type="text/plain"), body), None),
            ):
                self.assertEqual(made.method, shown)
        long = CODECS["binary"].encode("x" * 1000, CALL, 1, Calculator.add_args())
        self.assertEqual(letter(1, Properties(), long).method, "x" * LONGEST_NAME)

    def test_names_only_the_first_of_many(self) -> None:
        """And counts the others."""
        self.assertEqual(some(["a", "b"]), "\n  a\n  b")
        self.assertEqual(some(["a"] * 12), "\n  a" * 10 + "\n  and 2 more")


class BodyTests(SynchronousTestCase):
    """Arguments and bytes."""

    def setUp(self) -> None:
        self.arguments = Arguments.of("generated.calculator.Calculator")

    def show(self, body: bytes, content_type: str | None = None) -> str:
        """Return the arguments of a request with this body."""
        content = letter(1, Properties(content_type=content_type), body).content
        assert content is not None
        return self.arguments.show(content)

    def test_shows_the_arguments_in_each_protocol(self) -> None:
        """Arguments that are unset are left out."""
        for codec in CODECS.values():
            body = codec.encode("add", CALL, 1, Calculator.add_args(num1=1))
            self.assertEqual(self.show(body, codec.content_type), 'add {"num1": 1}')

    def test_gives_the_reason_of_a_rejection_for_a_body_that_is_no_request(self) -> None:
        """The words are those of a worker."""
        for body, content_type, reason in (
            (b"abc", None, "not a Thrift message"),
            (b"abc", "text/plain", "text/plain"),
            (CODECS["binary"].encode("nonsense", CALL, 1, Calculator.ping_args()), None, "Unknown function nonsense"),
        ):
            error = self.assertRaises(ValueError, self.show, body, content_type)
            self.assertIn(reason, str(error))

    def test_refuses_a_module_that_is_no_stub(self) -> None:
        """Before any letter is read."""
        self.assertRaises(ConfigurationError, Arguments.of, "generated.calculator.ttypes")

    def test_dumps_bytes_with_offset_digits_and_characters(self) -> None:
        """And counts the bytes that are not shown."""
        self.assertEqual(
            list(dump(b"The quick brown fox\x00\xff", 20)),
            [
                "00000000  54 68 65 20 71 75 69 63 6b 20 62 72 6f 77 6e 20  The quick brown ",
                "00000010  66 6f 78 00                                      fox.",
                "and 1 more (see --bytes)",
            ],
        )
        self.assertEqual(list(dump(b"", 20)), [])


class ChoiceTests(SynchronousTestCase):
    """Words that name letters."""

    letters = (
        letter(1, Properties(message_id="a.1")),
        letter(2, Properties(message_id="3")),
        letter(3, Properties(message_id="a.1")),
        letter(4),
        letter(5, Properties(message_id="\x1b")),
    )

    def chosen(self, *words: str) -> list[int]:
        """Return the numbers of the letters that the words name."""
        choice = Choice(frozenset(words))
        found = [each for each in self.letters if choice.includes(each)]
        choice.check(found, len(self.letters))
        return [each.number for each in found]

    def test_takes_numbers_and_message_ids(self) -> None:
        """Digits are a number unless ``id:`` precedes them."""
        self.assertEqual(self.chosen(), [1, 2, 3, 4, 5])
        self.assertEqual(self.chosen("4", "2", "4"), [2, 4])
        self.assertEqual(self.chosen("a.1"), [1, 3])
        self.assertEqual(self.chosen("3"), [3])
        self.assertEqual(self.chosen("id:3", "4"), [2, 4])
        self.assertEqual(self.chosen("\\u001b"), [5])

    def test_refuses_a_word_that_names_no_letter(self) -> None:
        """Although other words name some."""
        for word in ("6", "0", "-1", "b", "id:4", ""):
            error = self.assertRaises(click.ClickException, self.chosen, "1", word)
            self.assertIn(f"no such dead letter: {word}; there are 5", error.message)
