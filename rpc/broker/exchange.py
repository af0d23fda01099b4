"""Exchanges: which of their bindings a message matches (AMQP 0-9-1, section 3.1.3). Pure: names and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from rpc.broker.sizes import binding_size, exchange_size

if TYPE_CHECKING:
    from rpc.broker.queue import Queue

DIRECT, FANOUT, TOPIC, HEADERS = "direct", "fanout", "topic", "headers"
TYPES: Final = (DIRECT, FANOUT, TOPIC, HEADERS)

ANY: Final = ("any", "any-with-x")
WITH_X: Final = ("all-with-x", "any-with-x")
MATCHES: Final = ("all", "any", *WITH_X)
"""Values of the binding argument ``x-match``."""

Destination: TypeAlias = "Queue | Exchange"


@attrs.frozen(eq=False)
class Binding:
    """One binding of an exchange to a queue, or to another exchange (RabbitMQ extension).

    :ivar size: bytes that it is counted with against the broker's memory.
    """

    source: Exchange
    destination: Destination
    routing_key: str
    arguments: Mapping[str, Any]
    size: int


Group: TypeAlias = "dict[Destination, list[Binding]]"
"""The bindings of one routing key."""


class Exchange:
    """An exchange and its bindings.

    :ivar alternate: where messages go that match no binding (RabbitMQ extension), or ``None``.
    :ivar size: bytes that it is counted with against the broker's memory, without its bindings.
    :ivar effort: steps to match one routing key: the words of all patterns.
    """

    def __init__(
        self, name: str, kind: str, durable: bool, auto_delete: bool, internal: bool, arguments: Mapping[str, Any]
    ) -> None:
        self.name = name
        self.type = kind
        self.durable = durable
        self.auto_delete = auto_delete
        self.internal = internal
        self.arguments = arguments
        self.alternate: str | None = arguments.get("alternate-exchange")
        self.size = exchange_size(name, arguments)
        self.effort = 0
        self._groups: dict[str, Group] = {}  # by routing key
        self._patterns: dict[str, list[str]] = {}  # words of those keys of a topic exchange that match others

    @property
    def bindings(self) -> Iterator[Binding]:
        """All of them."""
        return chain.from_iterable(map(_bindings_of, self._groups.values()))

    @property
    def in_use(self) -> bool:
        """Whether anything is bound to it."""
        return bool(self._groups)

    def bind(self, destination: Destination, routing_key: str, arguments: Mapping[str, Any]) -> Binding | None:
        """Add a binding, and return it; ``None``: it exists already."""
        if self._find(destination, routing_key, arguments) is not None:
            return None
        words = self._words_of_pattern(routing_key)
        binding = Binding(self, destination, routing_key, arguments, binding_size(routing_key, words, arguments))
        if words and routing_key not in self._groups:
            self._patterns[routing_key] = words
            self.effort += len(words)
        self._groups.setdefault(routing_key, {}).setdefault(destination, []).append(binding)
        return binding

    def unbind(self, destination: Destination, routing_key: str, arguments: Mapping[str, Any]) -> Binding | None:
        """Remove a binding, and return it as it was made; ``None``: there was none."""
        found = self._find(destination, routing_key, arguments)
        if found is not None:
            self.remove(found)
        return found

    def remove(self, binding: Binding) -> None:
        """Remove one of the bindings."""
        group = self._groups[binding.routing_key]
        same = group[binding.destination]
        same.remove(binding)
        if same:
            return
        del group[binding.destination]
        if not group:
            del self._groups[binding.routing_key]
            self.effort -= len(self._patterns.pop(binding.routing_key, ()))

    def _words_of_pattern(self, routing_key: str) -> list[str]:
        """Return the words of a key that may match others; none, when it is no such key."""
        if self.type != TOPIC:
            return []
        words = words_of(routing_key)
        if "#" not in words and "*" not in words:
            return []
        return [word for at, word in enumerate(words) if word != "#" or words[at - 1 : at] != ["#"]]

    def _find(self, destination: Destination, routing_key: str, arguments: Mapping[str, Any]) -> Binding | None:
        for binding in self._groups.get(routing_key, {}).get(destination, ()):
            if _same_tables(binding.arguments, arguments):
                return binding
        return None

    def matching(self, routing_keys: Sequence[str], headers: Mapping[str, Any]) -> Iterator[Destination]:
        """Return the destinations of a message. One with several matching bindings is repeated."""
        if self.type == HEADERS:
            return (each.destination for each in self.bindings if headers_match(each.arguments, headers))
        if self.type == FANOUT:
            return chain.from_iterable(self._groups.values())
        groups = (self._groups[key] for key in routing_keys if key in self._groups and key not in self._patterns)
        return chain.from_iterable(chain(groups, self._matching_patterns(routing_keys)))

    def _matching_patterns(self, routing_keys: Sequence[str]) -> Iterator[Group]:
        if not self._patterns:
            return
        for key in routing_keys:
            words = words_of(key)
            for pattern, parts in self._patterns.items():
                if topic_matches(parts, words):
                    yield self._groups[pattern]


def _bindings_of(group: Group) -> Iterator[Binding]:
    return chain.from_iterable(group.values())


def words_of(key: str) -> list[str]:
    """Return the words of a key or pattern, which dots separate; an empty one has none."""
    return key.split(".") if key else []


def topic_matches(pattern: list[str], words: list[str]) -> bool:
    """Whether the words of a key match those of a pattern, in which ``*`` is one word and ``#`` any number of them.

    The effort is one step a word, for any pattern. Bit n of `taken` says that the pattern may have matched n words of
    the key so far.
    """
    places: dict[str, int] = {}  # each word, with bits at its positions
    for at, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << at
    all_words = 1 << len(words)
    taken = 1
    for part in pattern:
        if part == "#":
            taken = 2 * all_words - (taken & -taken)
        else:
            taken = (taken & (all_words - 1 if part == "*" else places.get(part, 0))) << 1
        if not taken:
            return False
    return taken & all_words != 0


def headers_match(wanted: Mapping[str, Any], headers: Mapping[str, Any]) -> bool:
    """Whether headers match a binding's arguments: all of them or any, depending on ``x-match``."""
    how = wanted.get("x-match", "all")
    found = (
        name in headers and (value is None or _matches(value, headers[name]))
        for name, value in wanted.items()
        if name != "x-match" and (how in WITH_X or not name.startswith("x-"))
    )
    return any(found) if how in ANY else all(found)


def _same_tables(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two tables are equal, in any order, with values of the same types."""
    return one.keys() == other.keys() and all(_identical(value, other[name]) for name, value in one.items())


def _identical(one: Any, other: Any) -> bool:
    """Whether values are equal, and all types in them as well."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return _same_tables(one, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_identical, one, other))
    return bool(one == other)


def _matches(wanted: Any, found: Any) -> bool:
    """Whether a header has a binding's value. Texts and bytes are the same; a fraction is no whole number, as in
    RabbitMQ 4.
    """
    return _identical(_in_bytes(wanted), _in_bytes(found))


def _in_bytes(value: Any) -> Any:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
