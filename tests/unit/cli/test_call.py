"""``thrift-rpc call`` without a broker: errors of the command line."""

from __future__ import annotations

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.main import main
from tests.unit.command_line import runner

STUB = "generated.calculator.Calculator"


def call(*arguments: str) -> Result:
    """Run the command in this process."""
    return runner().invoke(main, ["call", *arguments])


class CommandLineTests(SynchronousTestCase):
    """Exit status 2 for each wrong word."""

    def refused(self, status: int, text: str, *arguments: str) -> None:
        """Check the exit status and a part of standard error; standard output stays empty."""
        result = call(*arguments)
        self.assertEqual((result.exit_code, result.stdout), (status, ""), result.output)
        self.assertIn(text, result.stderr)

    def test_takes_a_word_with_one_dash_as_an_argument(self) -> None:
        """Also one that ends with the letter of an option, at any place."""
        self.refused(
            2, "num2: i32 takes a whole number from -2147483648 to 2147483647, not '-2h'", STUB, "add", "1", "-2h"
        )
        self.refused(2, "num1: i32 takes", STUB, "add", "-x", "1", "--timeout", "5")
        self.refused(2, "takes 2 arguments, not 1", STUB, "--timeout=5", "add", "-h2")

    def test_asks_for_the_value_of_the_last_option(self) -> None:
        """The words before it do not become its value."""
        self.refused(2, "Option '--timeout' requires an argument", STUB, "add", "1", "2", "--timeout")

    def test_refuses_an_unknown_option(self) -> None:
        """A mistyped option is no argument of the call: near names are told, in the words of click's version."""
        self.refused(2, "--timeout", STUB, "add", "1", "2", "--tmeout=3")

    def test_takes_a_negative_number_as_an_argument(self) -> None:
        """It begins with a dash."""
        self.refused(2, "takes 2 arguments, not 3", STUB, "add", "-1", "-2", "-3")
        self.refused(2, "num2: i32 takes", STUB, "add", "-1", "-2.5")

    def test_takes_every_word_behind_two_dashes_as_an_argument(self) -> None:
        """Also the name of an option."""
        self.refused(2, "not '--timeout'", STUB, "add", "1", "--", "--timeout")

    def test_refuses_wrong_values_of_options(self) -> None:
        """The error does not repeat a password."""
        self.refused(2, "'--timeout'", "--timeout", "0", STUB, "ping")
        self.refused(2, "'--protocol'", "--protocol", "xml", STUB, "ping")
        self.refused(2, "'--broker'", "--broker", "http://localhost", STUB, "ping")
        self.refused(2, "timeout", "--timeout", "nan", STUB, "ping")
        self.assertNotIn("secret", call("--broker", "http://user:secret@localhost", STUB, "ping").output)

    def test_takes_the_broker_from_the_environment(self) -> None:
        """The variable is RPC_BROKER."""
        result = runner(env={"RPC_BROKER": "http://localhost"}).invoke(main, ["call", STUB, "ping"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("'--broker'", result.stderr)

    def test_lists_the_methods_without_a_method(self) -> None:
        """Without a stub the command line is wrong."""
        self.refused(2, "Missing argument 'SERVICE'")
        listed = call(STUB)
        self.assertEqual((listed.exit_code, listed.stderr), (0, ""))
        self.assertIn("i32 add(i32 num1, i32 num2)\n", listed.stdout)
        self.assertIn("oneway zip()\n", listed.stdout)
        self.refused(2, "not possible: there is no module 'generated.no' in ", "generated.no.such")

    def test_refuses_an_unknown_method_module_or_argument(self) -> None:
        """The error says which of them is wrong."""
        self.refused(2, "not possible: Calculator has no method 'x'", STUB, "x")
        self.refused(2, "not possible: 'json.decoder' is not a service stub", "json.decoder", "x")
        self.refused(2, "not possible: there is no module 'generated.no' in ", "generated.no.such", "x")
        self.refused(2, "wrong argument: num1: i32 takes", STUB, "add", "x", "1")

    def test_help_explains_how_each_type_is_written(self) -> None:
        """And the exit status."""
        shown = call("--help").stdout
        for word in ("struct", "binary", "enum", "--timeout SECONDS", "Exit status"):
            self.assertIn(word, shown)
