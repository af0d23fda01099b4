"""Errors name the value inside arguments or a result that does not fit its type, in all protocols."""

from __future__ import annotations

from typing import Any

from rpc.errors import InvalidRequest
from tests.unit.generated_ends import OurEnds
from tests.unit.logs import log_lines
from tests.unit.odd_values import ODD_VALUES
from tests.unit.value_rule_case import ValueRuleCase


class PathTests(ValueRuleCase):
    """The errors that a client raises, and a worker logs."""

    def cases(self) -> list[tuple[str, Any, str, str]]:
        """Methods of one argument, a value for it, the path behind the argument's name, and the reason."""
        types = self.types
        bad = types.Bad("why", types.Either(text=5), 1)
        return [
            ("number", "1", "", "i32 expected, got str ("),
            ("strings", ["a", 5], "[1]", "string expected, got int ("),
            ("strings", (each for each in "ab"), "", "list expected, got generator ("),
            ("numbers", {"x"}, "['x']", "i32 expected, got str ("),
            ("blobs", {"key": 1.5}, "['key']", "binary expected, got float ("),
            ("blobs", {7: b""}, "[7]", "string expected, got int ("),
            ("blobs", [], "", "map expected, got list ("),
            ("shelf", [{}, {1: [b"x", 3]}], "[1][1][1]", "binary expected, got int ("),
            ("tree", types.Tree(1, [types.Tree(2**63)]), ".branches[0].number", "i64 expected, got int ("),
            ("tree", types.Tree(named={"a": {}}), ".named['a']", "Tree expected, got dict ("),
            ("tree", types.Tree(named={"a" * 99: {}}), f".named['{'a' * 39}]", "Tree expected, got dict ("),
            ("tree", types.Tree(named={b"\xff": types.Tree()}), ".named[b'\\xff']", "string expected, got bytes ("),
            ("bad", types.Bad("why", types.Either(), 1), ".either", "exactly one field of the union Either"),
            ("bad", bad, ".either.text", "string expected, got int ("),
            ("bad", types.Bad("\ud800", None, 1), ".why", "string expected, got str ("),
            ("point", types.Point(1, None), "", "Required field y is unset"),
            ("containers", types.Containers(nested=[[], [{1}, {70_000}]]), ".nested[1][1][70000]", "i16 expected"),
            ("containers", types.Containers(eithers={b"k": {True: 1}}), ".eithers[b'k'][bool]", "Either expected"),
        ]

    def refused(self, ours: OurEnds, name: str, value: Any) -> str:
        """Call a method with a value that does not fit. Return the text of the error."""
        self.assertEqual(ours.call(name, (value,)), b"", (ours.protocol, name, value))
        _, error = ours.settle(b"")
        self.assertIsInstance(error, InvalidRequest)
        return str(error)

    def test_the_client_names_the_path(self) -> None:
        """The argument, then fields, numbers and keys; an argument that is wrong itself is called so."""
        for name, value, path, reason in self.cases():
            for ours in self.ends():
                found = f"value{path}: {reason}" if path else f"argument 'value': {reason}"
                self.assertIn(f"Everything.{name}(value): {found}", self.refused(ours, name, value))

    def test_the_worker_logs_the_path(self) -> None:
        """With the traceback. The caller is not told: the value is the handler's."""
        for name, value, path, reason in self.cases():
            if name in ("strings", "shelf"):
                continue  # a generator is no result, and shelf returns no list
            for ours in self.ends():
                lines = log_lines(self)
                self.answered(ours, name, value)
                told = f"Everything.{name} returned a value that does not fit the IDL: result{path}: {reason}"
                self.assertIn(told, "\n".join(lines), ours.protocol)

    def test_the_worker_logs_the_path_of_an_exception(self) -> None:
        """It begins with the name in ``throws``."""
        (ours, *_) = self.ends()
        lines = log_lines(self)
        ours.notes.answer = "raises", self.types.Bad(5, None, 1)
        ours.serve(ours.call("bad", (None,)))
        self.flushLoggedErrors()
        told = "Everything.bad returned a value that does not fit the IDL: bad.why: string expected, got int ("
        self.assertIn(told, "\n".join(lines))

    def test_every_refusal_of_an_odd_value_names_the_argument(self) -> None:
        """Every value that the encoders refuse. Values that fit are not refused."""
        refusals = 0
        for name, values in ODD_VALUES.items():
            for value in values:
                for ours in self.ends():
                    if not ours.call(name, (value,)):
                        refusals += 1
                        _, error = ours.settle(b"")
                        self.assertRegex(str(error), r"\(value\): (argument 'value'|value[\[.].*?): .* expected, got ")
        self.assertGreater(refusals, 50)

    def test_names_the_argument_alone_when_the_value_is_too_deep(self) -> None:
        """Each value fits."""
        tree = self.types.Tree(1)
        for _ in range(70):
            tree = self.types.Tree(1, [tree])
        for ours in self.ends():
            self.assertIn(
                "Everything.tree(value): argument 'value': Tree does not fit (", self.refused(ours, "tree", tree)
            )
