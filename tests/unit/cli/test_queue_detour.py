"""The steps of the detour, on routing tables."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.queue_detour import Detour
from rpc.topology import Declaration

DETOUR = Detour("Q", "E", "S")

QUEUE, STORE = "queue Q", f"queue {DETOUR.store}"
"""An exchange and a queue may have the same name, so queues have this word before it here."""


class Routes:
    """The bindings of a broker: where a message to exchange E with the key S goes."""

    def __init__(self) -> None:
        self.bindings = {("E", QUEUE)}

    def apply(self, declaration: Declaration) -> None:
        """Carry out one method."""
        given = declaration.arguments
        if declaration.method == "exchange_delete":
            self.bindings = {pair for pair in self.bindings if given["exchange"] not in pair}
        elif declaration.method in ("queue_bind", "queue_unbind"):
            self._change(declaration.method, given["exchange"], f"queue {given['queue']}")
        elif declaration.method in ("exchange_bind", "exchange_unbind"):
            self._change(declaration.method, given["source"], given["destination"])

    def _change(self, method: str, source: str, destination: str) -> None:
        if method.endswith("unbind"):
            self.bindings.discard((source, destination))
        else:
            self.bindings.add((source, destination))

    def queues(self, exchange: str = "E") -> set[str]:
        """Return the queues that get a message."""
        found: set[str] = set()
        for destination in {destination for source, destination in self.bindings if source == exchange}:
            found |= {destination} if destination in (QUEUE, STORE) else self.queues(destination)
        if exchange == DETOUR.name and not found:
            return self.queues(DETOUR.alternate)
        return found


class DetourTests(SynchronousTestCase):
    """After each method a message goes to exactly one queue."""

    def follow(self, routes: Routes, declarations: Iterable[Declaration], *queues: str) -> None:
        """Carry out declarations, and check that a message goes to these queues in turn."""
        seen = [min(routes.queues())]
        for declaration in declarations:
            routes.apply(declaration)
            (queue,) = routes.queues()
            if queue != seen[-1]:
                seen.append(queue)
        self.assertEqual(seen, [*queues])

    def test_a_message_goes_to_one_queue_at_any_time(self) -> None:
        """To the queue, to the store, and to the queue again; also from any point on, for a command that goes on."""
        routes = Routes()
        self.follow(routes, [*DETOUR.prepare(), *DETOUR.enter()], QUEUE)
        self.follow(routes, [*DETOUR.prepare(), *DETOUR.enter()], QUEUE)
        self.follow(routes, DETOUR.divert(), QUEUE, STORE)
        self.follow(routes, DETOUR.prepare(), STORE)
        self.follow(routes, DETOUR.leave(), STORE, QUEUE)
        self.assertEqual(routes.bindings, {("E", QUEUE)})
        self.follow(routes, [*DETOUR.prepare(), *DETOUR.leave()], QUEUE)
        self.assertEqual(routes.bindings, {("E", QUEUE)})

    def test_a_deleted_queue_is_bound_again(self) -> None:
        """The broker has removed its bindings with it."""
        routes = Routes()
        for declaration in [*DETOUR.prepare(), *DETOUR.enter(), *DETOUR.divert()]:
            routes.apply(declaration)
        routes.bindings = {pair for pair in routes.bindings if pair[1] != QUEUE}
        self.follow(routes, DETOUR.leave(), STORE, QUEUE)
        self.assertEqual(routes.bindings, {("E", QUEUE)})
