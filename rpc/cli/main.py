"""The ``thrift-rpc`` command: a table of verbs, each a module with a click command."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from rpc.cli.standard_output import output_errors, printable_errors
from rpc.uri import hide_logins
from rpc.version import __version__

VERBS: Final = {
    "call": "rpc.cli.call:call_command",
    "compile": "rpc.cli.compile:compile_command",
    "dashboard": "rpc.cli.dashboard:dashboard_command",
    "dead": "rpc.cli.dead:dead_command",
    "describe": "rpc.cli.describe:describe_command",
    "gateway": "rpc.cli.gateway:gateway_command",
    "list": "rpc.cli.list:list_command",
    "ping": "rpc.cli.ping:ping_command",
    "queue": "rpc.cli.queue:queue_command",
    "serve": "rpc.cli.serve:serve_command",
    "stats": "rpc.cli.stats:stats_command",
}
"""The module and name of each verb's click command. Only the module of the verb in use is imported."""

_WORDS: Final = "rpc.words"
"""The key of the command line's words in click's context."""


@contextmanager
def _logins_hidden(words: Iterable[str]) -> Iterator[None]:
    """Have errors quote no URL with its password: click names a word in a wrong place, such as an unknown command."""
    try:
        yield
    except click.ClickException as error:
        if any("://" in word for word in words):  # click quotes words by repr, so none is looked for in its message
            # Its type is Final, but a new exception would lose the usage line.
            vars(error)["message"] = hide_logins(error.message)
        raise


class _Verbs(click.Group):
    """Finds commands in the table. click itself writes the help, without :func:`~rpc.cli.standard_output.say`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        words = list(args)
        with printable_errors(), output_errors(), _logins_hidden(words):
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[_WORDS] = words
        return context

    def invoke(self, ctx: click.Context) -> Any:
        with printable_errors(), output_errors(), _logins_hidden(ctx.meta[_WORDS]):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer verbs and options. No verb is imported, as click would do for its help: a shell waits."""
        verbs = [CompletionItem(verb) for verb in VERBS if verb.startswith(incomplete)]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Verbs, name="thrift-rpc", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="thrift-rpc")
def main() -> None:
    """Thrift RPC over AMQP: compile IDL into stubs, serve and call services, list workers, serve stock Thrift
    clients, inspect or replay dead letters, and migrate queues.
    """
