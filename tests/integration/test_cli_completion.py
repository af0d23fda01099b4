"""Completion of ``thrift-rpc`` in bash, with the services of a broker."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import SkipTest

from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from services.calculator import CalculatorHandler
from tests.integration.call_case import PROJECT, CallTestCase
from tests.integration.test_reflection import DESCRIPTION, FalseControlTestCase
from tools.nodes.rabbitmq import free_ports

COMMAND = Path(sys.executable).with_name("thrift-rpc")

IN_BASH = """
eval "$(_THRIFT_RPC_COMPLETE=bash_source thrift-rpc)"
complete -p thrift-rpc >/dev/null || exit 3
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_thrift_rpc_completion thrift-rpc
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
"""What bash does at the tab key: its variables hold the words, and the function that is registered answers."""


def run(command: list[str], **environment: str) -> list[str]:
    """Run a program, and return its words. Nothing is written to the terminal meanwhile."""
    path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **environment}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == "", done.stderr
    return done.stdout.split()


def complete(*words: str, broker: str = "") -> list[str]:
    """Return the words that the function in bash gets from the command, for the last word.

    :param broker: the environment's.
    """
    asked = {"_THRIFT_RPC_COMPLETE": "bash_complete", "COMP_WORDS": shlex.join(("thrift-rpc", *words))}
    found = run([str(COMMAND)], RPC_BROKER=broker, COMP_CWORD=str(len(words)), **asked)
    return [each.removeprefix("plain,") for each in found]


async def offered(ask: Callable[[], list[str]]) -> list[str]:
    """Return the words that a program offers, once there are some: a worker or broker that is slow offers none."""
    while not (found := await deferToThread(ask)):
        pass
    return found


class CompletionTests(CallTestCase):
    """Services and methods of a worker."""

    async def serve_completed(self) -> str:
        """Start a worker, and return its service's name."""
        name = self.unique("Completed")
        worker = self.serve(rpc.ThriftService(Calculator, CalculatorHandler(), name=name))
        await worker.when_serving()
        return name

    async def test_offers_services_to_bash(self) -> None:
        """By the line that the documents have for ``.bashrc``."""
        bash = shutil.which("bash")
        if bash is None:
            raise SkipTest("bash is not installed")
        name = await self.serve_completed()
        script = IN_BASH.format(words=shlex.join(("thrift-rpc", "call", name[:-3])))
        command = [bash, "--norc", "--noprofile", "-c", script]
        self.assertEqual(await offered(partial(run, command, RPC_BROKER=self.url)), [name])

    async def test_offers_services_and_methods(self) -> None:
        """Of verbs that take a service; with the broker of the environment, or of the words."""
        name = await self.serve_completed()
        for verb in (("ping",), ("dead", "list"), ("gateway",)):
            self.assertEqual(await offered(partial(complete, *verb, name[:-3], broker=self.url)), [name], verb)
        methods = await offered(partial(complete, "call", "--broker", self.url, name, "ca"))
        self.assertEqual(methods, ["calculate"])

    async def test_is_silent_when_the_broker_is_away(self) -> None:
        """Or its URL is wrong."""
        (port,) = free_ports(1)
        for url in (f"amqp://127.0.0.1:{port}", "http://wrong"):
            for words in (("call", "Calc"), ("call", "Calculator", "a")):
                self.assertEqual(await deferToThread(complete, *words, broker=url), [])


class HostileNamesTests(FalseControlTestCase):
    """A shell writes a worker's answer into the command line, and obeys it at the next return key."""

    async def test_offers_no_name_that_a_shell_would_obey(self) -> None:
        """Nor one of two lines, or one that would be an option."""
        control = await self.serve_falsely()
        name = self.name
        commands = (
            "$(id)",
            "`id`",
            ";id",
            "|id",
            ">id",
            "&",
            " id",
            "\nplain,id",
            "\tid",
            "\x1b[2J",
            "*",
            "'",
            '"',
            "\\",
        )
        control.pong.services = [name, f"--{name}", f"~{name}", *(f"{name}{command}" for command in commands)]
        self.assertEqual(await offered(partial(complete, "call", name, broker=self.url)), [name])

        def ours() -> list[str]:
            return [each for each in complete("ping", "", broker=self.url) if name in each]

        self.assertEqual(await offered(ours), [name])

    async def test_the_types_of_a_method_stay_in_one_line(self) -> None:
        """zsh gets three lines for each word: its kind, the word, and its description."""
        await self.serve_falsely(text=DESCRIPTION.replace("calculator.Work", r"\nplain\n$(id)\n_\u001b[2J.Work"))
        asked = {"_THRIFT_RPC_COMPLETE": "zsh_complete", "COMP_WORDS": f"thrift-rpc call {self.name} ec"}
        found = await offered(partial(run, [str(COMMAND)], RPC_BROKER=self.url, COMP_CWORD="3", **asked))
        types = r"\nplain\n$(id)\n_\u001b[2J.Work"
        self.assertEqual(found, ["plain", "echo", types, f"echo({types}", "work)"])
