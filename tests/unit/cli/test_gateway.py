"""The command line of ``thrift-rpc gateway``."""

from __future__ import annotations

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.gateway import gateway_command


class WrongOptionTests(SynchronousTestCase):
    """Errors of options."""

    def test_a_wrong_number_is_named_with_the_allowed_ones(self) -> None:
        """In the words of the other verbs."""
        for option, value, words in (
            ("--timeout", "0", "is no number of seconds, more than 0"),
            ("--idle-timeout", "nan", "is no number of seconds, more than 0"),
            ("--in-flight", "0", "is no whole number of 1 or more"),
            ("--max-connections", "many", "is no whole number of 1 or more"),
        ):
            result = CliRunner().invoke(gateway_command, ["Calculator", "--http", "tcp:0", option, value])
            self.assertEqual(result.exit_code, 2)
            self.assertIn(f"'{option}': {value!r} {words}", result.output)
