"""``thrift-rpc describe``: the output for the descriptions of workers."""

from __future__ import annotations

import json

import pytest
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator
from rpc import idl
from rpc.cli.describe import Described, as_json, lines
from rpc.control import Answer, Answers, MethodDescription, ServiceDescription, WorkerDescription
from rpc.control.described_idl import idl_of


def service(**changed: object) -> ServiceDescription:
    """Return the description of a service."""
    given = {
        "name": "Sums",
        "idl_name": "Calculator",
        "stub": "generated.calculator.Calculator",
        "state": 4,
        "exchange": "rpc",
        "queue": "rpc.Sums",
        "methods": [MethodDescription(name="add"), MethodDescription(name="zip", is_oneway=True)],
        "options": {"concurrency": "4"},
    }
    return ServiceDescription(**{**given, **changed})  # type: ignore[arg-type]


def described(*services: ServiceDescription) -> Described:
    """Return the descriptions of workers, each with one of the services."""
    workers = [
        WorkerDescription(instance=f"host.{place}.ab", status=2, version="1", uptime=61, pid=place, services=[each])
        for place, each in enumerate(services)
    ]
    answers = tuple(Answer(worker.instance, 0.1, worker) for worker in workers)
    return Described(Answers(answers, (), len(answers)), services[0])


class DescribeTests(SynchronousTestCase):
    """Lines and JSON."""

    def test_shows_methods_with_the_types_of_the_workers_idl(self) -> None:
        text = "\n".join(lines(described(service(idl_json=idl.text_of(Calculator)))))
        self.assertIn("Sums  (service Calculator of generated.calculator.Calculator)", text)
        self.assertIn("  concurrency = 4\n", text)
        self.assertIn("\ni32 add(i32 num1, i32 num2)\n", text)
        self.assertIn("host.0.ab  ALIVE   CONSUMING  1        1 min 1 s", text)
        self.assertNotIn("Other methods", text)

    def test_shows_methods_without_types_when_the_worker_does_not_know_them(self) -> None:
        self.assertIn("\nadd\noneway zip\n", "\n".join(lines(described(service()))))

    def test_names_the_workers_that_are_different(self) -> None:
        text = "\n".join(lines(described(service(), service(options={}), service(), service(methods=[]))))
        self.assertTrue(text.endswith("Other methods or options than these: host.1.ab, host.3.ab"))

    def test_json_has_the_idl(self) -> None:
        found = json.loads(
            json.dumps(as_json(described(service(idl_json="{}"), service(queue="other"))), allow_nan=False)
        )
        self.assertEqual((found["idl_json"], found["queue"]), ("{}", "rpc.Sums"))
        self.assertEqual([worker["is_alike"] for worker in found["workers"]], [True, False])
        self.assertEqual(found["methods"][1]["oneway"], True)


def test_an_idl_that_cannot_be_read_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The methods are known without it."""
    assert "add" in list(lines(described(service(idl_json='{"format": 99}'))))
    assert "the worker's idl.json cannot be read: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stub", "known"),
    [
        ("generated.calculator.Calculator", True),
        ("a.package.of.stubs.calculator.Calculator", True),
        ("calculator.Calculator", True),
        ("Calculator", False),
        ("calculator.Nobody", False),
        ("", False),
    ],
)
def test_finds_the_service_in_the_idl(stub: str, known: bool) -> None:
    """In any package of the stubs."""
    found = idl_of(service(stub=stub, idl_json=idl.text_of(Calculator)))
    assert (found is not None) is known
    assert found is None or "add" in found.methods


def test_an_idl_of_other_text_is_an_error_of_one_kind() -> None:
    """A peer wrote it."""
    for text in ("", "[]", "{", '{"format": 1}', "[" * 100_000):
        with pytest.raises(ValueError, match=r".+"):
            idl_of(service(idl_json=text))
