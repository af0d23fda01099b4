"""``thrift-rpc dead`` without a broker: errors of the command line."""

from __future__ import annotations

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.main import main
from tests.unit.command_line import runner


def dead(*arguments: str) -> Result:
    """Run the command in this process."""
    return runner().invoke(main, ["dead", *arguments])


class CommandLineTests(SynchronousTestCase):
    """Errors are reported before the broker is connected to."""

    def refused(self, status: int, text: str, *arguments: str) -> None:
        """Check the exit status and a part of standard error; standard output stays empty."""
        result = dead(*arguments)
        self.assertEqual((result.exit_code, result.stdout), (status, ""), result.output)
        self.assertIn(text, result.stderr)

    def test_a_command_that_changes_letters_needs_their_names_or_all(self) -> None:
        """But not both."""
        for verb in ("replay", "purge"):
            self.refused(2, "or give --all", verb, "Calculator")
            self.refused(2, "not both", verb, "Calculator", "--all", "1")
        self.refused(2, "NUMBER|ID", "show", "Calculator")

    def test_refuses_wrong_values_of_options(self) -> None:
        """The error does not repeat a password."""
        for verb in ("list", "show", "replay", "purge"):
            self.refused(2, "'--broker'", verb, "Calculator", "1", "--broker", "http://user:secret@localhost")
            self.assertNotIn("secret", dead(verb, "Calculator", "--broker", "http://user:secret@localhost").output)
            self.refused(2, "Missing argument 'SERVICE'", verb)
        self.refused(2, "'--bytes'", "show", "Calculator", "1", "--bytes", "-1")
        self.refused(
            2, "Error: not possible: there is no module 'no' in ", "show", "Calculator", "1", "--stub", "no.such"
        )

    def test_help_explains_numbers_and_message_ids(self) -> None:
        """Numbers change, message ids stay."""
        shown = " ".join(dead("--help").stdout.split())
        for words in ("Numbers are positions: they change", "Message ids stay", "Exit status", "rpc.SERVICE.dead"):
            self.assertIn(words, shown)
