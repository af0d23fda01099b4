"""``thrift-rpc dead`` as far as it goes without a broker."""

from __future__ import annotations

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.main import main


def dead(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["dead", *arguments])


class CommandLineTests(SynchronousTestCase):
    """What is wrong with a command line is told at once."""

    def refused(self, status: int, text: str, *arguments: str) -> None:
        """Check the status and what standard error says; standard output stays empty."""
        result = dead(*arguments)
        self.assertEqual((result.exit_code, result.stdout), (status, ""), result.output)
        self.assertIn(text, result.stderr)

    def test_which_letters(self) -> None:
        """What changes something is told which letters, or that it is all of them."""
        for verb in ("replay", "purge"):
            self.refused(2, "or give --all", verb, "Calculator")
            self.refused(2, "not both", verb, "Calculator", "--all", "1")
        self.refused(2, "NUMBER|ID", "show", "Calculator")

    def test_wrong_options(self) -> None:
        """Values of options are checked, and a password is not repeated."""
        for verb in ("list", "show", "replay", "purge"):
            self.refused(2, "'--broker'", verb, "Calculator", "1", "--broker", "http://user:secret@localhost")
            self.assertNotIn("secret", dead(verb, "Calculator", "--broker", "http://user:secret@localhost").output)
            self.refused(2, "Missing argument 'SERVICE'", verb)
        self.refused(2, "'--bytes'", "show", "Calculator", "1", "--bytes", "-1")
        self.refused(1, "Error: no.such does not import", "show", "Calculator", "1", "--stub", "no.such")

    def test_help(self) -> None:
        """The help says that positions change, and what stays."""
        shown = " ".join(dead("--help").stdout.split())
        for words in ("Numbers are positions: they change", "Message ids stay", "Exit status", "rpc.SERVICE.dead"):
            self.assertIn(words, shown)
