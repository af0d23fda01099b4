"""The words that a shell offers without a broker."""

from __future__ import annotations

from click.shell_completion import ShellComplete
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.main import VERBS, main


def complete(*words: str) -> list[str]:
    """Return click's offers for the last word."""
    *before, incomplete = words
    found = ShellComplete(main, {}, "thrift-rpc", "_THRIFT_RPC_COMPLETE").get_completions(before, incomplete)
    return [item.value for item in found]


class CompletionTests(SynchronousTestCase):
    """Half-written command lines."""

    def test_offers_verbs_and_options(self) -> None:
        """All of them for an empty word."""
        self.assertEqual(complete("c"), ["call", "compile"])
        self.assertEqual(complete(""), list(VERBS))
        self.assertEqual(complete("--v"), ["--version"])
        self.assertEqual(complete("call", "--verb"), ["--verbose"])
        self.assertEqual(complete("call", "--protocol", "b"), ["binary"])

    def test_offers_stub_modules_and_their_methods(self) -> None:
        """Those of packages in the current directory."""
        self.assertEqual(complete("call", "generated.ca"), ["generated.calculator.Calculator"])
        self.assertEqual(complete("call", "generated.calculator.Calculator", "s"), ["sum"])
        self.assertEqual(complete("call", "--timeout", "5", "generated.calculator.Calculator", "s"), ["sum"])
        self.assertEqual(complete("call", "generated.no.such", "s"), [])

    def test_offers_the_services_of_a_file_and_their_methods(self) -> None:
        """Of one that cannot be compiled, none."""
        self.assertEqual(complete("call", "--idl", "idl/calculator.thrift", "C"), ["Calculator"])
        self.assertEqual(complete("call", "--idl", "idl/calculator.thrift", "Calculator", "ca"), ["calculate"])
        self.assertEqual(complete("call", "--idl", "README.md", "C"), [])
        self.assertEqual(complete("call", "--idl", "README.md", "C", "c"), [])
