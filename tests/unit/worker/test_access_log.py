"""The access log: one line or object for each call, however it ends, and nothing that a terminal obeys."""

from __future__ import annotations

import json
import logging
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python import log

from generated.calculator.ttypes import InvalidOperation
from rpc.access_log import FIELDS, AccessLog
from rpc.errors import AccessDenied, ConfigurationError
from rpc.interceptors import WorkerInterceptor
from rpc.serving.log_output import json_line
from tests.unit.logs import access_log_events
from tests.unit.worker.again_case import AgainTestCase
from tests.unit.worker.served import SHARED


class Refusing(WorkerInterceptor):
    """Refuses all calls."""

    def before(self, call: Any) -> None:
        raise AccessDenied("no")


def raising(error: Exception) -> Any:
    """Return a function that raises `error`."""

    def fails() -> Any:
        raise error

    return fails


class AccessLogTests(AgainTestCase):
    """A worker with an access log."""

    def setUp(self) -> None:
        self.events = access_log_events(self)
        self.begin("text")

    def begin(self, form: str, *further: WorkerInterceptor, **options: Any) -> None:
        """Serve anew."""
        self.serve(interceptors=[AccessLog(form), *further], **options)

    def lines(self) -> list[str]:
        """The lines of the access log since the last time."""
        found = [event["log_line"] for event in self.events]
        self.events.clear()
        return found

    def outcome(self, answer: Any, name: str = "add", **given: Any) -> dict[str, Any]:
        """Have the handler answer a request so, and return the fields of its one line."""
        self.handler.answer = answer
        self.request(name, **given)
        self.wire.clock.advance(2)
        (event,) = self.events
        self.events.clear()
        fields: dict[str, Any] = event["rpc_fields"]
        return fields

    def test_a_line_has_what_became_of_a_call(self) -> None:
        """From the arrival to the reply."""
        held: Deferred[int] = Deferred()
        self.handler.answer = lambda: held
        self.request("add", message_id="m1", app_id="ask me", headers={"rpc-attempt": 2})
        self.assertEqual(self.lines(), [])
        self.wire.clock.advance(0.25)
        held.callback(3)
        (line,) = self.lines()
        sizes = "request_bytes=30 reply_bytes=23"
        self.assertEqual(
            line,
            f'service=Calculator method=add outcome=returned milliseconds=250.0 attempt=2 {sizes} caller="ask me" '
            "message_id=m1",
        )

    def test_each_end_has_its_outcome(self) -> None:
        """A result, exceptions, a deadline, a cancellation, a refusal, a rejection, and a oneway request."""
        self.assertEqual(self.outcome(lambda: 3)["outcome"], "returned")
        raised = self.outcome(raising(InvalidOperation(1, "why")))
        self.assertEqual((raised["outcome"], raised["error"]), ("raised", "InvalidOperation"))
        failed = self.outcome(raising(ZeroDivisionError()))
        self.assertEqual((failed["outcome"], failed["error"]), ("failed", "ZeroDivisionError"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.events.clear()
        expired = self.outcome(Deferred, expiration="1000")
        self.assertEqual((expired["outcome"], expired["reply_bytes"]), ("expired", 0))
        oneway = self.outcome(lambda: None, "zip")
        self.assertEqual((oneway["method"], oneway["outcome"], oneway["reply_bytes"]), ("zip", "returned", 0))
        self.handler.answer = Deferred
        self.request("add", message_id="m2")
        self.worker.dispatcher.cancel([b"m2"])
        self.assertIn("outcome=cancelled", self.lines()[0])
        self.wire.deliver(b"no message", consumer=SHARED)
        self.assertIn("outcome=rejected", self.lines()[0])
        self.begin("text", Refusing())
        refused = self.outcome(lambda: 3)
        self.assertEqual((refused["outcome"], refused["error"]), ("refused", "AccessDenied"))

    def test_a_request_that_is_dropped_has_a_line(self) -> None:
        """With the time that it waited for a slot: its caller's deadline has passed, or it was cancelled."""
        self.begin("text", concurrency=1)
        held: Deferred[int] = Deferred()
        self.handler.answer = lambda: held
        self.request("add")
        self.request("add", message_id="m1", expiration="1000")
        self.request("add", message_id="m2")
        self.worker.dispatcher.cancel([b"m2"])
        self.wire.clock.advance(2)
        held.callback(3)
        self.wire.clock.advance(0)
        self.wire.clock.advance(0)
        _, expired, dropped = self.lines()
        for line, outcome in ((expired, "expired"), (dropped, "dropped")):
            self.assertIn(f"method=add outcome={outcome} milliseconds=2000.0 ", line)
            self.assertIn(" error=CancelledError", line)

    def test_json_is_one_object_a_line(self) -> None:
        """With the time of the end."""
        self.begin("json")
        self.handler.answer = lambda: 3
        self.request("add", message_id="näher\n")
        (line,) = self.lines()
        found = json.loads(line)
        self.assertNotIn("\n", line)
        self.assertRegex(found.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$")
        self.assertEqual((found["service"], found["message_id"], found["reply_bytes"]), ("Calculator", "näher\\n", 23))

    def test_what_a_peer_writes_is_cut_and_printable(self) -> None:
        """No line can look like another, or be obeyed by a terminal."""
        fields = self.outcome(lambda: 3, message_id="m" * 200, app_id='x\x1b[2J" outcome=returned')
        self.assertEqual((fields["message_id"], fields["caller"]), ("m" * 80, 'x\\u001b[2J" outcome=returned'))
        self.handler.answer = lambda: 3
        self.request("add", app_id='x" outcome=failed')
        self.assertIn(r'caller="x\" outcome=failed"', self.lines()[0])

    def test_standard_logging_gets_line_and_fields(self) -> None:
        """The fields are an attribute of the record, for formatters."""
        logger = logging.getLogger(self.id())
        logger.propagate = False
        records: list[logging.LogRecord] = []

        class Keeping(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                records.append(record)

        logger.addHandler(Keeping())
        logger.setLevel(logging.INFO)
        self.serve(interceptors=[AccessLog(logger=logger)])
        self.handler.answer = lambda: 3
        self.request("add")
        (record,) = records
        self.assertIn("method=add outcome=returned", record.getMessage())
        self.assertEqual(record.__dict__["rpc_fields"]["method"], "add")

    def test_a_line_of_serve_in_json_has_each_fact_once(self) -> None:
        """The fields are keys beside those of every line."""
        self.handler.answer = lambda: 3
        self.request("add")
        (event,) = self.events
        shown = json.loads(json_line(event))
        self.assertEqual(set(shown), {"time", "level", "process", "logger", "message", *FIELDS} - {"error"})

    def test_refuses_another_form(self) -> None:
        """It names those that there are."""
        with self.assertRaisesRegex(ConfigurationError, "'xml' must be text or json"):
            AccessLog("xml")


class FieldTests(AgainTestCase):
    """Lines of the log about a request have its fields as well."""

    def test_an_error_of_a_handler_has_fields(self) -> None:
        """For programs that read events; the fields that a peer has chosen are printable."""
        events: list[log.EventDict] = []
        log.addObserver(events.append)
        self.addCleanup(log.removeObserver, events.append)
        self.handler.answer = raising(ZeroDivisionError())
        self.request("add", message_id="m\x1b1")
        (failed,) = [event for event in events if event["isError"]]
        self.assertEqual(failed["rpc_fields"], {"service": "Calculator", "method": "add", "message_id": "m\\u001b1"})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
