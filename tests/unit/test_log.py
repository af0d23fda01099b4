"""Peers' texts are shown without characters that a terminal obeys, in every log line and by every verb."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import NoReturn

import click
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

import rpc
from rpc import log
from rpc.cli import main as main_module
from rpc.cli.main import main
from rpc.cli.standard_output import say, warn
from rpc.printable import printable, printable_lines
from tests.unit.command_line import runner
from tests.unit.logs import log_lines

PACKAGE = Path(rpc.__file__).parent

HOSTILE = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA1), *range(0x2028, 0x202F), 0x2066, 0x2069, 0x200F, 0xFEFF]))
"""Control characters of ASCII and Latin-1 (C1), DEL, and marks for lines and directions."""

WRITERS = {
    "rpc/access_log.py": {"logging", "twisted.logger.Logger"},
    "rpc/aio/connection.py": {"warnings.warn"},
    "rpc/blocking/connection.py": {"warnings.warn"},
    "rpc/log.py": {"twisted.python.log", "twisted.logger.LogLevel"},
    "rpc/cli/standard_output.py": {"click.echo"},
    "rpc/cli/progress.py": {"click.progressbar"},
    "rpc/cli/running.py": {"twisted.logger.globalLogBeginner", "twisted.logger.textFileLogObserver"},
    "rpc/serving/log_output.py": {
        "logging",
        "twisted.logger.FileLogObserver",
        "twisted.logger.FilteringLogObserver",
        "twisted.logger.LogLevel",
        "twisted.logger.LogLevelFilterPredicate",
        "twisted.logger.eventAsText",
        "twisted.logger.formatEvent",
        "twisted.logger.globalLogBeginner",
        "twisted.logger.globalLogPublisher",
    },
}
"""The modules that may write, and by what. ``access_log`` escapes the fields of its lines; ``aio`` and ``blocking``
warn with a broker's URL, whose names are percent-encoded; ``progress`` writes a label of ours; ``running`` turns
logging off, or sends the log of a verb that serves to a file; by ``log_output`` the log leaves the program.
"""

WRITING = re.compile(
    r"twisted\.python\.log(\..*)?|twisted\.logger(\..*)?|logging(\..*)?|print|warnings\.warn|sys\.(stdout|stderr)\.write"
    r"|click\.(echo|secho|echo_via_pager|progressbar|prompt|confirm|pause)"
)


def writers_in(text: str) -> set[str]:
    """Return the functions of a module that write to the log or to a terminal, by full names."""
    tree = ast.parse(text)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({item.asname or item.name.partition(".")[0]: item.name for item in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.update({item.asname or item.name: f"{node.module}.{item.name}" for item in node.names})
    used = {*names.values()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            root, dot, attributes = ast.unparse(node).partition(".")
            used.add(f"{names.get(root, root)}{dot}{attributes}")
    found = {name for name in used if WRITING.fullmatch(name)}
    return {name for name in found if not any(name.startswith(f"{other}.") for other in found)}


class WritersTests(SynchronousTestCase):
    """A new place that writes by itself is found here: it uses ``rpc.log``, or ``say`` and ``warn``, instead."""

    def test_no_module_writes_by_itself(self) -> None:
        """But those of the table."""
        found = {}
        compiled = PACKAGE / "control" / "stubs"  # Thrift's Processor logs; nothing uses it
        for path in sorted(set(PACKAGE.rglob("*.py")) - set(compiled.rglob("*.py"))):
            writers = writers_in(path.read_text("utf-8"))
            if writers:
                found[f"rpc/{path.relative_to(PACKAGE)}"] = writers
        self.assertEqual(found, WRITERS)

    def test_finds_each_way_to_write(self) -> None:
        """Under other names, too."""
        for text in (
            "from twisted.python import log",
            "from twisted.python.log import msg",
            "from twisted.logger import Logger as Lines",
            "import twisted.logger",
            "import logging as lines",
            "print(1)",
            "import click\nclick.secho('a')",
            "from click import echo as show",
            "import sys\nsys.stderr.write('a')",
            "from warnings import warn\nwarn('a')",
        ):
            self.assertTrue(writers_in(text), text)
        self.assertEqual(writers_in("from rpc import log\nlog.msg('a')\nimport sys\nsys.stdout.fileno()"), set())


class ShownTests(SynchronousTestCase):
    """Any text of a peer."""

    def assert_shown(self, text: str) -> None:
        self.assertTrue(text)
        for line in text.split("\n"):
            self.assertTrue(line.isprintable(), repr(line))

    def test_printable_text_stays_json(self) -> None:
        """Each character is escaped as in JSON; others stay."""
        self.assertEqual(json.loads(printable(json.dumps(HOSTILE, ensure_ascii=False))), HOSTILE)
        self.assertEqual(
            printable("schön 字 😀 \x1b[2J\x9b\x7f\u202e\ud800"), r"schön 字 😀 \u001b[2J\u009b\u007f\u202e\ud800"
        )
        self.assertEqual(printable_lines("a\nb\rc"), "a\nb\\rc")

    def test_log_lines_are_printable(self) -> None:
        """Messages, and errors with their tracebacks."""
        lines = log_lines(self)
        log.msg(f"a peer: {HOSTILE}")
        log.err(Failure(ValueError(HOSTILE)), f"{HOSTILE} failed")
        try:
            raise KeyError(HOSTILE)
        except KeyError:
            log.err(None, "while testing")
        log.err(ValueError(HOSTILE), "while testing")
        self.assertEqual(len(self.flushLoggedErrors(ValueError, KeyError)), 3)
        self.assertEqual(len(lines), 4)
        for line in lines:
            self.assert_shown(line.replace("\t", " "))
        self.assertIn("Traceback", lines[2])

    def test_each_verb_shows_errors_and_results_printable(self) -> None:
        """Every kind of error that click shows, with the output before it."""

        def raises(error: click.ClickException) -> NoReturn:
            say(f"result {HOSTILE}")
            warn(f"warning {HOSTILE}")
            raise error

        for verb in main_module.VERBS:
            for error in (
                click.ClickException(HOSTILE),
                click.UsageError(HOSTILE),
                click.BadParameter(HOSTILE, param_hint=HOSTILE),
                click.NoSuchOption(HOSTILE, possibilities=[HOSTILE]),
                click.FileError(HOSTILE, HOSTILE),
            ):
                command = main.get_command(click.Context(main), verb)
                assert command is not None
                self.patch(command, "invoke", lambda _, error=error: raises(error))
                self.patch(command, "parse_args", lambda *_: [])
                result = runner().invoke(main, [verb])
                self.assertIn(result.exit_code, (1, 2))
                self.assert_shown(result.stdout)
                self.assert_shown(result.stderr)

    def test_words_of_the_command_line_are_shown_printable(self) -> None:
        """An unknown verb, option and file, as a script may pass them on."""
        word = "a\x1b[2J\x9b\x7f\u202e"
        for words in (
            [word],
            ["call", "--idl", word, "S"],
            ["call", f"--{word}"],
            ["compile", word, "--out", "x"],
            ["dead", word],
        ):
            result = runner().invoke(main, words)
            self.assertNotEqual(result.exit_code, 0)
            self.assert_shown(result.stderr)
