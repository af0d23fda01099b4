"""``thrift-rpc call`` as far as it goes without a broker: what is wrong with a command line is told at once."""

from __future__ import annotations

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.main import main

STUB = "generated.calculator.Calculator"


def call(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["call", *arguments])


class CommandLineTests(SynchronousTestCase):
    """Exit status 2 for the options, 1 for what they ask."""

    def refused(self, status: int, text: str, *arguments: str) -> None:
        """Check the status and what standard error says; standard output stays empty."""
        result = call(*arguments)
        self.assertEqual((result.exit_code, result.stdout), (status, ""), result.output)
        self.assertIn(text, result.stderr)

    def test_takes_a_word_with_one_dash_as_an_argument(self) -> None:
        """Also one that ends with the letter of an option, wherever it stands."""
        self.refused(
            1, "num2: i32 takes a whole number from -2147483648 to 2147483647, not '-2h'", STUB, "add", "1", "-2h"
        )
        self.refused(1, "num1: i32 takes", STUB, "add", "-x", "1", "--timeout", "5")
        self.refused(1, "takes 2 arguments, not 1", STUB, "--timeout=5", "add", "-h2")

    def test_asks_for_the_value_of_the_last_option(self) -> None:
        """The words before it do not become its value."""
        self.refused(2, "Option '--timeout' requires an argument", STUB, "add", "1", "2", "--timeout")

    def test_unknown_option(self) -> None:
        """A mistyped option is no argument of the call."""
        self.refused(2, "No such option '--tmeout'. Did you mean '--timeout'?", STUB, "add", "1", "2", "--tmeout=3")

    def test_negative_numbers(self) -> None:
        """A number with a minus is an argument."""
        self.refused(1, "takes 2 arguments, not 3", STUB, "add", "-1", "-2", "-3")
        self.refused(1, "num2: i32 takes", STUB, "add", "-1", "-2.5")

    def test_behind_two_dashes(self) -> None:
        """Behind ``--`` nothing is an option."""
        self.refused(1, "not '--timeout'", STUB, "add", "1", "--", "--timeout")

    def test_wrong_options(self) -> None:
        """Values of options are checked, and a password is not repeated."""
        self.refused(2, "'--timeout'", "--timeout", "0", STUB, "ping")
        self.refused(2, "'--protocol'", "--protocol", "xml", STUB, "ping")
        self.refused(2, "'--broker'", "--broker", "http://localhost", STUB, "ping")
        self.refused(1, "timeout", "--timeout", "nan", STUB, "ping")
        self.assertNotIn("secret", call("--broker", "http://user:secret@localhost", STUB, "ping").output)

    def test_broker_of_the_environment(self) -> None:
        """The broker's URL is also taken from RPC_BROKER."""
        result = CliRunner(env={"RPC_BROKER": "http://localhost"}).invoke(main, ["call", STUB, "ping"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("'--broker'", result.stderr)

    def test_missing_words(self) -> None:
        """The stub must be there; without a method, those there are are listed."""
        self.refused(2, "Missing argument 'STUB'")
        listed = call(STUB)
        self.assertEqual((listed.exit_code, listed.stderr), (0, ""))
        self.assertIn("i32 add(i32 num1, i32 num2)\n", listed.stdout)
        self.assertIn("oneway zip()\n", listed.stdout)
        self.refused(1, "cannot call: no.such does not import", "no.such")

    def test_what_cannot_be_called(self) -> None:
        """Mistakes in what is asked are told by their meaning."""
        self.refused(1, "cannot call: Calculator has no method 'x'", STUB, "x")
        self.refused(1, "cannot call: no.such does not import", "no.such", "x")
        self.refused(1, "wrong argument: num1: i32 takes", STUB, "add", "x", "1")

    def test_help(self) -> None:
        """The help says how each type is written."""
        shown = call("--help").stdout
        for word in ("struct", "binary", "enum", "--timeout SECONDS", "Exit status"):
            self.assertIn(word, shown)
