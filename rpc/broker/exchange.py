"""Exchanges: which of their bindings a message matches (AMQP 0-9-1, section 3.1.3). Pure: names and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

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
    """One binding of an exchange to a queue, or to another exchange (RabbitMQ extension)."""

    destination: Destination
    routing_key: str
    arguments: Mapping[str, Any]


class Exchange:
    """An exchange and its bindings.

    :ivar alternate: where messages go that match no binding (RabbitMQ extension), or ``None``.
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
        self._bindings: dict[str, list[Binding]] = {}  # by routing key

    @property
    def bindings(self) -> Iterator[Binding]:
        """All of them."""
        for group in self._bindings.values():
            yield from group

    @property
    def in_use(self) -> bool:
        """Whether anything is bound to it."""
        return bool(self._bindings)

    def bind(self, destination: Destination, routing_key: str, arguments: Mapping[str, Any]) -> bool:
        """Add a binding; return whether it is new."""
        if self._find(destination, routing_key, arguments) is not None:
            return False
        self._bindings.setdefault(routing_key, []).append(Binding(destination, routing_key, arguments))
        return True

    def unbind(self, destination: Destination, routing_key: str, arguments: Mapping[str, Any]) -> Binding | None:
        """Remove a binding, and return it as it was made; ``None``: there was none."""
        found = self._find(destination, routing_key, arguments)
        if found is not None:
            self._remove(found)
        return found

    def unbind_all(self, destination: Destination) -> bool:
        """Remove every binding to `destination`; return whether there was one."""
        touched = {binding.routing_key for binding in self.bindings if binding.destination is destination}
        for key in touched:
            group = [binding for binding in self._bindings[key] if binding.destination is not destination]
            if group:
                self._bindings[key] = group
            else:
                del self._bindings[key]
        return bool(touched)

    def _find(self, destination: Destination, routing_key: str, arguments: Mapping[str, Any]) -> Binding | None:
        for binding in self._bindings.get(routing_key, ()):
            if binding.destination is destination and _same_tables(binding.arguments, arguments):
                return binding
        return None

    def _remove(self, binding: Binding) -> None:
        group = self._bindings[binding.routing_key]
        group.remove(binding)
        if not group:
            del self._bindings[binding.routing_key]

    def matching(self, routing_key: str, headers: Mapping[str, Any]) -> Iterator[Destination]:
        """Return the destinations of a message. One with several matching bindings is repeated."""
        if self.type == DIRECT:
            matched = iter(self._bindings.get(routing_key, ()))
        elif self.type == FANOUT:
            matched = self.bindings
        elif self.type == TOPIC:
            words = words_of(routing_key)
            groups = (group for pattern, group in self._bindings.items() if topic_matches(words_of(pattern), words))
            matched = (binding for group in groups for binding in group)
        else:
            matched = (binding for binding in self.bindings if headers_match(binding.arguments, headers))
        return (binding.destination for binding in matched)


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
