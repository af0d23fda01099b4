"""The log's lines as text and as JSON."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.logger import Logger, globalLogPublisher
from twisted.python import log as twisted_log
from twisted.python.failure import Failure

from rpc import log
from rpc.serving.log_output import _Forward, json_line, text_line


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """Yield the list of all events."""
    found: list[Any] = []
    observer: Any = found.append
    globalLogPublisher.addObserver(observer)
    yield found
    globalLogPublisher.removeObserver(observer)


def test_a_line_has_time_level_process_and_text(events: list[Any]) -> None:
    """As text and as JSON, of this package's events and of others'."""
    log.msg("serving Glossary")
    Logger("users.module").warn("slow {what}", what="disk")
    assert text_line(events[0]).endswith(": serving Glossary\n")
    assert " info " in text_line(events[0])
    assert " warn " in text_line(events[1])
    assert text_line(events[1]).endswith(" users.module: slow disk\n")
    ours, theirs = (json.loads(json_line(event)) for event in events)
    assert (ours["level"], ours["logger"], ours["message"]) == ("info", "rpc", "serving Glossary")
    assert (theirs["level"], theirs["logger"], theirs["message"]) == ("warn", "users.module", "slow disk")
    assert ours["time"].endswith("+00:00")


def test_a_failure_has_its_traceback(events: list[Any]) -> None:
    """In JSON, apart from the message."""
    try:
        raise ValueError("no such word")
    except ValueError:
        log.err(Failure(), "Glossary.explain failed")
    text = text_line(events[0])
    assert "Glossary.explain failed\n\tTraceback" in text
    assert text.count("ValueError: no such word") == 1
    shown = json.loads(json_line(events[0]))
    assert shown["message"] == "Glossary.explain failed"
    assert shown["level"] == "critical"
    assert "ValueError: no such word" in shown["traceback"]


def test_json_has_the_fields_of_an_event(events: list[Any]) -> None:
    """Those that are values of JSON, and none that replaces one of ours."""
    twisted_log.msg("called", service="Glossary", took=0.5, oneway=False, error=None, handler=object(), level="mine")
    twisted_log.msg("odd", nan=math.nan, infinite=math.inf)
    first, second = (json.loads(json_line(event)) for event in events)
    assert {key: first[key] for key in ("service", "took", "oneway", "error", "level")} == {
        "service": "Glossary",
        "took": 0.5,
        "oneway": False,
        "error": None,
        "level": "info",
    }
    assert "handler" not in first
    assert not {"nan", "infinite"} & set(second)


def test_json_has_the_fields_of_this_package(events: list[Any]) -> None:
    """Of its log and of an access log, also by way of logging. They replace no key of a line."""
    log.warn("stopping", service="Glossary", calls=3, level="mine")
    Logger("rpc.access").info("{log_line}", log_line="method=explain", rpc_fields={"method": "explain", "error": None})
    logger = logging.Logger("access")
    logger.addHandler(_Forward())
    logger.info("method=define", extra={"rpc_fields": {"method": "define"}})
    Logger("users").info("odd", rpc_fields="text")
    ours, access, forwarded, odd = (json.loads(json_line(event)) for event in events)
    assert (ours["service"], ours["calls"], ours["level"]) == ("Glossary", 3, "warn")
    assert (access["message"], access["method"], access["error"]) == ("method=explain", "explain", None)
    assert forwarded["method"] == "define"
    assert odd["rpc_fields"] == "text"
    assert all("rpc_fields" not in each for each in (ours, access, forwarded))


def test_shows_no_characters_that_a_terminal_obeys(events: list[Any]) -> None:
    """Of other packages' events. JSON is one line."""
    Logger("n\x1b[2J").info("{what}", what="a\x1b[2Jb\x7f\u202e\nc")
    text = text_line(events[0])
    assert text.replace("\n\t", "").rstrip("\n").isprintable()
    line = json_line(events[0])
    assert line[:-1].isprintable()
    assert json.loads(line)["message"] == "a\x1b[2Jb\x7f\u202e\nc"


def test_records_of_logging_become_events(events: list[Any]) -> None:
    """With their level, logger, fields and traceback. Braces are no fields."""
    logger = logging.Logger("users.module")
    logger.addHandler(_Forward())
    logger.error("no {word}: %s", "x", extra={"word_count": 3, "handler": object()})
    logger.log(35, "between")
    try:
        raise KeyError("x")
    except KeyError:
        logger.exception("failed")
    shown = [json.loads(json_line(event)) for event in events]
    assert [each["level"] for each in shown] == ["error", "warn", "error"]
    assert shown[0]["message"] == "no {word}: x"
    assert shown[0]["logger"] == "users.module"
    assert shown[0]["word_count"] == 3
    assert "KeyError: 'x'" in shown[2]["traceback"]


def test_no_text_begins_a_line_of_its_own(events: list[Any]) -> None:
    """It could be taken for another event. Further lines are indented, as in Twisted's own log."""
    Logger("users.module").info("{what}", what="one\n2026-11-29T08:00:00.000+00:00 critical 1: forged\r\ntwo")
    assert [line[:1] for line in text_line(events[0]).splitlines()] == ["2", "\t", "\t"]


def test_a_record_that_cannot_be_forwarded_is_no_error_of_its_author(
    events: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """As in logging itself: a handler's call must not fail because it logs. Odd names of fields are none."""
    logger = logging.Logger("users.module")
    logger.addHandler(_Forward())
    logger.info("%d calls", "many")
    said = capsys.readouterr().err
    assert "TypeError" in said
    assert __file__ in said
    logger.info("fields", extra={"level": 5, "self": "me", "format": "x", "isError": True, "calls": 3})
    (shown,) = [json.loads(json_line(event)) for event in events]
    assert (shown["level"], shown["message"], shown["calls"], shown["self"]) == ("info", "fields", 3, "me")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda: twisted_log.err(ValueError("x"), b"why\xff"), "why"),
        (lambda: twisted_log.err(ValueError("x"), [1, 2]), "[1, 2]"),
        (lambda: twisted_log.msg("odd", log_namespace=7), "odd"),
        (lambda: twisted_log.msg("odd", number=10**5000), "odd"),
        (lambda: twisted_log.msg("odd", rpc_fields={("a", "b"): 1, 5: 2, "c": 3}), "odd"),
    ],
)
def test_no_event_is_lost(events: list[Any], write: Callable[[], object], message: str) -> None:
    """An observer that raises has no other one to tell it to."""
    write()
    assert message in text_line(events[0])
    assert message in json.loads(json_line(events[0]))["message"]


def test_lines_to_act_on_are_warnings(events: list[Any]) -> None:
    """So that ``--log-level warn`` keeps them."""
    log.warn("no connection\x1b")
    assert " warn " in text_line(events[0])
    assert text_line(events[0]).endswith(": no connection\\u001b\n")
    assert json.loads(json_line(events[0]))["level"] == "warn"
