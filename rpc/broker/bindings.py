"""The bindings of a virtual host, by destination: the end of a queue does not search all exchanges for its bindings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpc.broker.exchange import Binding, Destination, Exchange
from rpc.broker.memory import Memory
from rpc.broker.protocol_error import ProtocolError


class Bindings:
    """All bindings of a virtual host. Each is in its exchange, here, and in the account of definitions."""

    __slots__ = ("_by_destination", "_memory")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._by_destination: dict[Destination, dict[Binding, None]] = {}

    def bind(
        self, source: Exchange, destination: Destination, routing_key: str, arguments: Mapping[str, Any], vhost: str
    ) -> bool:
        """Add a binding; return whether it is new.

        :param vhost: the virtual host's name, for the error.
        :raises ProtocolError: 406, there are too many definitions; nothing is added.
        """
        binding = source.bind(destination, routing_key, arguments)
        if binding is None:
            return False
        try:
            self._memory.define(f"bind to exchange '{source.name}' in vhost '{vhost}'", binding.size)
        except ProtocolError:
            source.remove(binding)
            raise
        self._by_destination.setdefault(destination, {})[binding] = None
        return True

    def restore(
        self, source: Exchange, destination: Destination, routing_key: str, arguments: Mapping[str, Any]
    ) -> None:
        """Add a binding that the state file has."""
        binding = source.bind(destination, routing_key, arguments)
        if binding is not None:
            self._memory.restore_definition(binding.size)
            self._by_destination.setdefault(destination, {})[binding] = None

    def unbind(
        self, source: Exchange, destination: Destination, routing_key: str, arguments: Mapping[str, Any]
    ) -> Binding | None:
        """Remove a binding, and return it as it was made; ``None``: there was none."""
        binding = source.unbind(destination, routing_key, arguments)
        if binding is not None:
            self._forget(binding)
        return binding

    def source_deleted(self, source: Exchange) -> None:
        """Remove the bindings of an exchange that is deleted."""
        for binding in source.bindings:
            self._forget(binding)

    def destination_deleted(self, destination: Destination) -> list[Exchange]:
        """Remove all bindings to something that is deleted; return auto-delete exchanges that have lost their last."""
        sources: dict[Exchange, None] = {}
        for binding in [*self._by_destination.get(destination, ())]:
            self._forget(binding)
            binding.source.remove(binding)
            sources[binding.source] = None
        return [each for each in sources if each.auto_delete and not each.in_use]

    def _forget(self, binding: Binding) -> None:
        self._memory.forget_definition(binding.size)
        bindings = self._by_destination[binding.destination]
        del bindings[binding]
        if not bindings:
            del self._by_destination[binding.destination]
