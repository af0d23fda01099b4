"""``twistd rpc-worker``'s command line: its services, and its errors in one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.worker import load_services
from rpc.errors import ConfigurationError
from services import calculator


class LoadServicesTests(SynchronousTestCase):
    """load_services."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.patch(sys, "path", [str(self.folder), *sys.path])
        self.patch(sys, "modules", dict(sys.modules))

    def write(self, name: str, text: str) -> Path:
        """Write a module and return its path."""
        path = self.folder / f"{name}.py"
        path.write_text(text)
        return path

    def refusal(self, name: str) -> str:
        """Return the message with which a service is refused."""
        return str(self.assertRaises(ConfigurationError, list, load_services((name,))))

    def test_yields_the_service_of_a_module(self) -> None:
        """Unchanged."""
        self.assertEqual(list(load_services(("services.calculator:service",))), [calculator.service])

    def test_refuses_a_name_that_is_no_service(self) -> None:
        """A colon separates the module from the attribute, which must be a service."""
        self.assertIn("has no 'nothing', but these services: service", self.refusal("services.calculator:nothing"))
        self.assertIn("is of the type module, not an rpc.ThriftService", self.refusal("services.calculator:rpc"))
        self.write("worker_empty", "number: int")
        self.assertIn("has no 'number', and no rpc.ThriftService", self.refusal("worker_empty:number"))

    def test_refuses_words_of_another_form(self) -> None:
        """Before it imports anything: a path, a list with commas, a blank, a relative name, two colons."""
        for name in (
            "services.calculator",
            "services.calculator:",
            ":service",
            "",
            "services/calculator:service",
            "services.calculator:service,services.shared:service",
            "services.calculator :service",
            "..calculator:service",
            "services.calculator:service:other",
        ):
            self.assertEqual(
                self.refusal(name), f"{name!r}: write it as MODULE:SERVICE, such as services.calculator:service"
            )

    def test_a_module_that_ends_the_program_is_named(self) -> None:
        """Such as a script without a check of ``__name__``, whose ``react`` ends the process."""
        path = self.write("worker_script", "\nraise SystemExit(0)\n")
        self.assertEqual(
            self.refusal("worker_script:service"),
            f"worker_script:service: worker_script does not import: it ends the program ({path}, line 2)",
        )

    def test_refuses_a_module_that_does_not_exist(self) -> None:
        """The error does not name the importing code."""
        self.assertEqual(
            self.refusal("worker_no_such:service"),
            f"worker_no_such:service: there is no module 'worker_no_such' in {os.getcwd()} or on Python's path: run "
            "the command in the module's folder, or name this folder in PYTHONPATH",
        )
        self.assertIn("there is no module 'services.no_such' in ", self.refusal("services.no_such:service"))

    def test_names_the_line_of_an_error_in_a_module(self) -> None:
        """In the user's code."""
        path = self.write("worker_raises", "\nimport worker_missing\n")
        message = self.refusal("worker_raises:service")
        self.assertTrue(message.endswith(f"No module named 'worker_missing' ({path}, line 2)"), message)

    def test_names_the_line_of_a_syntax_error(self) -> None:
        """In the module that has it, also when another one imports it."""
        path = self.write("worker_syntax", "\n\ndef f(:\n")
        self.write("worker_imports_it", "import worker_syntax\n")
        for module in ("worker_syntax", "worker_imports_it"):
            message = self.refusal(f"{module}:service")
            self.assertTrue(message.endswith(f"SyntaxError: invalid syntax ({path}, line 3)"), message)
