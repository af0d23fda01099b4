"""The words that a shell offers on the command line: services, methods and stub modules.

click has the protocols of the shells (its documentation, "Shell Completion"). A shell waits for the answer, and shows
all that is written. So nothing is written here, and a broker that is away or slow has no services.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem
from twisted.internet.defer import Deferred

from rpc import idl
from rpc.cli.argument_words import signature
from rpc.cli.running import checked_broker, run_connected
from rpc.cli.targets import Target, is_module_name
from rpc.client.connection import Connection
from rpc.control import Control
from rpc.default_reactor import default_reactor
from rpc.uri import BrokerURI

PATIENCE: Final = 1.0
"""Seconds for connecting and asking together."""

WAIT: Final = 0.5
"""Seconds that workers have to answer."""

T = TypeVar("T")


def complete_service(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the services of the workers that answer."""
    return _begin_with(incomplete, _quietly(lambda: _on_broker(ctx, _services), []))


def complete_target(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer services, and the stub modules in packages of the current directory."""
    path = ctx.params.get("idl")
    if path is not None:
        return _begin_with(incomplete, _quietly(lambda: Target.services_in(path), []))
    stubs = _begin_with(incomplete, _quietly(_stub_modules, []))
    if "." in incomplete and stubs:
        return stubs
    return [*_begin_with(incomplete, _quietly(lambda: _on_broker(ctx, _services), [])), *stubs]


def complete_method(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the methods of the service that an earlier word names, with their signatures."""
    target = _quietly(lambda: _target(ctx), None)
    methods = [] if target is None else list(target.description.methods.values())
    found = [method for method in methods if method.name.startswith(incomplete)]
    return [CompletionItem(method.name, help=signature(method)) for method in found]


def _begin_with(incomplete: str, words: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(word) for word in sorted(set(words)) if word.startswith(incomplete) and _is_plain(word)]


def _is_plain(word: str) -> bool:
    """Return whether a shell takes a word as it is: it writes the word into the command line, without quotes.

    Peers choose the names of services. One with a command in it would be run at the return key.
    """
    return shlex.quote(word) == word and not word.startswith("-")


def _quietly(find: Callable[[], T], otherwise: T) -> T:
    """Return the result of a function. A half-written command line may have any error, and the shell shows none."""
    try:
        return find()
    except (Exception, SystemExit):
        return otherwise


def _target(ctx: click.Context) -> Target | None:
    service, path = ctx.params.get("service"), ctx.params.get("idl")
    if not service:
        return None
    if path is not None:
        return Target.in_file(path, service.partition("@")[0])
    if is_module_name(service):
        return Target.compiled(service)

    async def described(connection: Connection) -> Target:
        return Target.of(await connection.reflect(ctx.params.get("name") or service))

    return _on_broker(ctx, described)


def _on_broker(ctx: click.Context, ask: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
    broker = ctx.params.get("broker")
    if not isinstance(broker, BrokerURI):  # click leaves out the callbacks of options that were not given
        broker = checked_broker(ctx, click.Option(["--broker"]), broker)

    def work(connection: Connection, left: float | None) -> Deferred[T]:
        return Deferred.fromCoroutine(ask(connection)).addTimeout(left or PATIENCE, default_reactor())

    result: T = run_connected(broker, PATIENCE, work)
    return result


async def _services(connection: Connection) -> list[str]:
    return [service for pong in await Control(connection).ping(wait=WAIT) for service in pong.services]


def _stub_modules() -> list[str]:
    """Return the stub modules of the packages in the current directory that have an ``idl.json``."""
    found: list[str] = []
    for path in sorted(Path.cwd().glob(f"*/{idl.FILE_NAME}")):
        services = json.loads(path.read_text("utf-8")).get("services", {})
        found += [f"{path.parent.name}.{key}" for key in services]
    return found
