"""Exchanges alone: matching, and the identity of bindings."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from rpc.broker.exchange import DIRECT, FANOUT, HEADERS, TOPIC, TYPES, Exchange, headers_match, topic_matches, words_of

values = some.one_of(some.booleans(), some.integers(-2, 2), some.sampled_from(["", "a"]), some.none())
names = some.sampled_from(["a", "b", "x-a"])
tables = some.dictionaries(names, values, max_size=3)


def exchange(kind: str, name: str = "x", **arguments: Any) -> Exchange:
    """An exchange without bindings."""
    return Exchange(name, kind, False, False, False, arguments)


class MatchingTests(SynchronousTestCase):
    """Where a message goes."""

    def setUp(self) -> None:
        self.one, self.other = exchange(DIRECT, "one"), exchange(DIRECT, "other")

    def found(self, source: Exchange, key: str, headers: dict[str, Any] | None = None) -> list[str]:
        """The names of where a message goes."""
        return [each.name for each in source.matching([key], headers or {})]

    def test_fanout_ignores_key_and_headers(self) -> None:
        """Each binding matches."""
        source = exchange(FANOUT)
        source.bind(self.one, "k", {"a": 1})
        source.bind(self.other, "", {})
        self.assertEqual(self.found(source, "anything"), ["one", "other"])

    def test_direct_keys_are_no_patterns(self) -> None:
        """A star, a hash and an empty key match themselves only."""
        source = exchange(DIRECT)
        for key in ("*", "#", ""):
            source.bind(self.one, key, {})
        found = {key: len(self.found(source, key)) for key in ("*", "#", "", "a", "a.b")}
        self.assertEqual(found, {"*": 1, "#": 1, "": 1, "a": 0, "a.b": 0})

    def test_topic_returns_the_destination_of_each_matching_pattern(self) -> None:
        """A destination with two matching patterns is repeated."""
        source = exchange(TOPIC)
        for destination, pattern in ((self.one, "a.*"), (self.one, "#"), (self.other, "a"), (self.other, "*.b")):
            source.bind(destination, pattern, {})
        self.assertEqual(self.found(source, "a.b"), ["one", "one", "other"])
        self.assertEqual(self.found(source, ""), ["one"])

    def test_headers_exchange_ignores_the_key(self) -> None:
        """Also where bindings have one."""
        source = exchange(HEADERS)
        source.bind(self.one, "k", {"a": 1})
        source.bind(self.other, "k", {"a": True})
        self.assertEqual(self.found(source, "other", {"a": 1}), ["one"])
        self.assertEqual(self.found(source, "k", {"a": True}), ["other"])
        self.assertEqual(self.found(source, "k"), [])

    def test_a_fraction_in_a_header_is_no_whole_number(self) -> None:
        """As in RabbitMQ 4; RabbitMQ 3.10 compares their values."""
        self.assertEqual([headers_match({"a": 1}, {"a": value}) for value in (1, 1.0)], [True, False])

    def test_an_exchange_without_bindings_matches_nothing(self) -> None:
        """For each type."""
        for kind in TYPES:
            self.assertEqual(self.found(exchange(kind), "k", {"a": 1}), [])

    def test_splits_keys_at_dots(self) -> None:
        """Words may be empty. An empty key has none, so a star does not match it."""
        self.assertEqual([words_of(key) for key in ("", ".", "a.", "a..b")], [[], ["", ""], ["a", ""], ["a", "", "b"]])
        self.assertFalse(topic_matches(["*"], words_of("")))
        self.assertTrue(topic_matches(["#"], words_of("")))
        self.assertTrue(topic_matches(["a", "*"], words_of("a.")))


class HeadersTests(SynchronousTestCase):
    """The kinds of x-match."""

    @given(tables, tables)
    def test_x_match_equals_a_check_of_each_name(self, wanted: dict[str, Any], headers: dict[str, Any]) -> None:
        """For each kind of x-match."""

        def same(name: str) -> bool:
            one, other = wanted[name], headers.get(name)
            return name in headers and (one is None or (type(one) is type(other) and one == other))

        for with_x, suffix in ((False, ""), (True, "-with-x")):
            asked = [same(name) for name in wanted if with_x or not name.startswith("x-")]
            self.assertIs(headers_match({**wanted, "x-match": f"all{suffix}"}, headers), False not in asked)
            self.assertIs(headers_match({**wanted, "x-match": f"any{suffix}"}, headers), True in asked)
        self.assertIs(headers_match(wanted, headers), headers_match({**wanted, "x-match": "all"}, headers))

    def test_headers_match_by_their_values(self) -> None:
        """A text matches its bytes. Otherwise types count, as in RabbitMQ 4, within arrays and tables as well."""
        wanted: Any
        for wanted, header, found in (
            (1, 1.0, False),
            (1.0, 1, False),
            ("é", "é".encode(), True),
            (b"a", "a", True),
            (1, True, False),
            (0, False, False),
            ("1", 1, False),
            ([1], [1], True),
            ([1], [1.0], False),
            ([1], [True], False),
            ([1], [1, 1], False),
            ({"x": 1}, {"x": 1}, True),
            ({"x": 1}, {"x": True}, False),
            ({"x": 1}, {}, False),
        ):
            self.assertIs(headers_match({"a": wanted}, {"a": header}), found, (wanted, header))

    def test_x_match_itself_is_not_matched(self) -> None:
        """It is an argument of the binding only."""
        for how in ("all-with-x", "any-with-x"):
            wanted = {"x-match": how, "a": 1}
            self.assertTrue(headers_match(wanted, {"a": 1}))
            self.assertFalse(headers_match(wanted, {"x-match": how}))


class BindingTests(SynchronousTestCase):
    """When a binding is there already."""

    def setUp(self) -> None:
        self.source = exchange(HEADERS)
        self.one, self.other = exchange(DIRECT, "one"), exchange(DIRECT, "other")

    def test_a_binding_is_known_by_destination_key_and_arguments(self) -> None:
        """True is not 1, and the order of arguments has no effect."""
        for destination, key, arguments, new in (
            (self.one, "k", {"a": 1, "b": 2}, True),
            (self.one, "k", {"b": 2, "a": 1}, False),
            (self.one, "k", {"a": True, "b": 2}, True),
            (self.one, "k", {"a": 1}, True),
            (self.one, "k", {"a": 1, "b": 2, "c": None}, True),
            (self.one, "K", {"a": 1, "b": 2}, True),
            (self.other, "k", {"a": 1, "b": 2}, True),
        ):
            made = self.source.bind(destination, key, arguments)
            self.assertIs(made is not None, new, (destination.name, key, arguments))
        self.assertEqual(len([*self.source.bindings]), 6)

    def test_values_of_other_types_are_other_bindings(self) -> None:
        """RabbitMQ compares types as well, also within arrays and tables."""
        values: list[Any] = [
            1,
            True,
            1.0,
            "1",
            b"1",
            [1],
            [True],
            [1.0],
            {"x": 1},
            {"x": True},
            [{"x": [1]}],
            [{"x": [1.0]}],
        ]
        for value in values:
            self.assertTrue(self.source.bind(self.one, "k", {"a": value}), value)
        for value in values:
            self.assertFalse(self.source.bind(self.one, "k", {"a": value}), value)
            found = self.source.unbind(self.one, "k", {"a": value})
            assert found is not None
            self.assertIs(type(found.arguments["a"]), type(value))
            self.source.bind(self.one, "k", {"a": value})

    def test_unbind_returns_the_binding(self) -> None:
        """Once, with the arguments as they were bound."""
        made = {"a": 1, "b": 2}
        self.source.bind(self.one, "k", made)
        found = self.source.unbind(self.one, "k", {"b": 2, "a": 1})
        assert found is not None
        self.assertIs(found.arguments, made)
        self.assertIsNone(self.source.unbind(self.one, "k", made))
        self.assertFalse(self.source.in_use)

    def test_removes_one_of_the_bindings(self) -> None:
        """Others stay."""
        for key in ("a", "b"):
            for destination in (self.one, self.other):
                self.source.bind(destination, key, {})
        for binding in [*self.source.bindings]:
            if binding.destination is self.one:
                self.source.remove(binding)
        left = [(each.destination.name, each.routing_key) for each in self.source.bindings]
        self.assertEqual(left, [("other", "a"), ("other", "b")])

    def test_names_its_alternate_exchange(self) -> None:
        """By the argument alternate-exchange."""
        self.assertEqual(exchange(DIRECT, **{"alternate-exchange": "rest"}).alternate, "rest")
        self.assertIsNone(self.source.alternate)
