"""The common parts of verbs that ask workers: words, lines and tables."""

from __future__ import annotations

import click
from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.control_options import duration, finite, milliseconds, problems, split, table
from rpc.control import Answer, Answers, BadAnswer, End, Pong

GOOD = Answer("a", 0.1, Pong(instance="a"))
BAD = BadAnswer("b", 0.2, "no message of Thrift\x1b[2J")


class SplitTests(SynchronousTestCase):
    """The word that names a service, or one worker of it."""

    def test_names_a_service_or_a_worker(self) -> None:
        self.assertEqual(split("Glossary"), ("Glossary", None))
        self.assertEqual(split("Glossary@host.1.ab"), ("Glossary", "host.1.ab"))

    def test_refuses_half_a_name(self) -> None:
        for word in ("", "@", "@host.1.ab", "Glossary@"):
            self.assertRaises(click.BadParameter, split, word)


class ProblemTests(SynchronousTestCase):
    """Missing and bad answers."""

    def test_nothing_is_missing_when_all_expected_workers_have_answered(self) -> None:
        """Bad answers are those of workers of other services then."""
        self.assertEqual(problems(Answers((GOOD,), (BAD,), 1), 1.0), [])
        self.assertEqual(problems(Answers((GOOD,), (), None, End.WAITED), 1.0), [])

    def test_names_bad_answers_and_counts_silent_workers(self) -> None:
        bad, silent = problems(Answers((GOOD,), (BAD,), 3, End.WAITED), 1.5)
        self.assertEqual(bad, r"b: no answer: no message of Thrift\u001b[2J")
        self.assertEqual(silent, "2 workers did not answer within 1.5 s")
        (silent,) = problems(Answers((GOOD,), (), 3, End.WAITED), 1.5)
        self.assertTrue(silent.startswith("2 workers did not answer within 1.5 s: most often, "), silent)
        (unnamed,) = problems(Answers((), (BadAnswer(None, 0.1, "why"),), None, End.WAITED), 1.0)
        self.assertEqual(unnamed, "a worker: no answer: why")

    def test_says_that_no_worker_is_there(self) -> None:
        for service, reason in (
            (None, "none runs"),
            ("Glossary", "none runs"),
            ("Glossary@a", "this worker has ended"),
        ):
            (line,) = problems(Answers((), (), 1, End.UNROUTABLE), 1.0, service)
            self.assertTrue(line.startswith(f"the question reached no worker: {reason}, or "), line)

    def test_says_that_workers_run_and_none_answers(self) -> None:
        """All of them were asked, so their number is not known. An empty list alone would look as if none ran."""
        (line,) = problems(Answers((), (), None, End.WAITED), 1.5)
        self.assertTrue(line.startswith("at least one worker runs, and none answered within 1.5 s: "), line)

    def test_says_why_no_worker_of_a_service_answers(self) -> None:
        """Workers of other services have got the question."""
        for expected, words in ((0, "none consumes its queue"), (None, "'thrift-rpc list' shows the services")):
            (line,) = problems(Answers((), (), expected, End.WAITED), 1.0, "Glosary")
            self.assertTrue(line.startswith(f"no worker of Glosary answered: {words}"), line)

    def test_says_that_the_answers_are_incomplete(self) -> None:
        (line,) = problems(Answers((GOOD,), (), None, End.LOST, "504 channel error"), 1.0)
        self.assertEqual(line, "the answers are incomplete: 504 channel error")


class TextTests(SynchronousTestCase):
    """Tables and numbers."""

    def test_aligns_columns(self) -> None:
        lines = table(("NAME", "CALLS"), [("add", "10"), ("calculate\n", "7")], (1,))
        self.assertEqual(lines, ["NAME         CALLS", "add             10", "calculate\\n      7"])

    def test_shows_durations(self) -> None:
        for seconds, expected in (
            (0.2, "0 s"),
            (59.9, "59 s"),
            (61, "1 min 1 s"),
            (3600, "1 h 0 min"),
            (90061, "1 d 1 h"),
            (-5, "0 s"),
            (float("nan"), "?"),
            (float("inf"), "?"),
        ):
            self.assertEqual(duration(seconds), expected)
        self.assertEqual(milliseconds(0.00123), "1.2 ms")

    def test_json_has_finite_numbers_alone(self) -> None:
        numbers = (1.5, 0.0, None, float("nan"), float("inf"))
        self.assertEqual([finite(number) for number in numbers], [1.5, 0.0, None, None, None])
