"""The version: one source, shown by the package, by the command, and to the broker's operators."""

from __future__ import annotations

from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import rpc
from rpc.amqp.codec.spec import load_definition
from rpc.amqp.delegate import client_properties
from rpc.cli.main import main
from tests.unit.command_line import runner

PROJECT = Path(__file__).parents[2]


class VersionTests(SynchronousTestCase):
    """It comes from the metadata of the installed package."""

    def test_is_that_of_the_installed_package(self) -> None:
        """No module repeats it."""
        self.assertEqual(rpc.__version__, version("thrift-amqp-rpc"))
        self.assertEqual(client_properties("a client", load_definition(None))["version"], rpc.__version__)

    def test_the_command_tells_it(self) -> None:
        """Without a verb."""
        result = runner().invoke(main, ["--version"])
        self.assertEqual((result.exit_code, result.stdout), (0, f"thrift-rpc, version {rpc.__version__}\n"))

    def test_has_one_source(self) -> None:
        """``setup.cfg``: no module of the package has it in writing."""
        settings = ConfigParser()
        settings.read(PROJECT / "setup.cfg")
        written = settings["metadata"]["version"]
        found = [path.name for path in (PROJECT / "rpc").rglob("*.py") if f'"{written}"' in path.read_text()]
        self.assertEqual(found, [])
