"""The ``thrift-rpc`` command: a table of verbs, each a module with a click command."""

from __future__ import annotations

import importlib
from typing import Final

import click

VERBS: Final = {
    "call": "rpc.cli.call:call_command",
    "compile": "rpc.cli.compile:compile_command",
    "dead": "rpc.cli.dead:dead_command",
}
"""The module and name of each verb's click command. Only the module of the verb in use is imported."""


class _Verbs(click.Group):
    """Finds commands in the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Verbs, name="thrift-rpc", context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Thrift RPC over AMQP: compile IDL into stubs, call services, and inspect or replay dead letters."""
