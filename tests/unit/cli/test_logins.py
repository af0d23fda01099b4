"""No message, help text or printed object of the commands shows the password of a broker's URL."""

from __future__ import annotations

import os
import traceback
from typing import Any

import click
from click.testing import CliRunner
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

import rpc
from rpc.amqp.endpoint import BrokerEndpoint, new_connection
from rpc.broker_address import FILE_VARIABLE, URL_VARIABLE
from rpc.cli.broker import Options as BrokerOptions
from rpc.cli.main import main
from rpc.cli.running import broker_option
from rpc.cli.worker import Options as WorkerOptions
from rpc.link import Link
from rpc.uri import parse
from services import calculator

URL = "amqp://anna:Sesame@localhost/v"
WRONG = "amqp://anna:Sesame"


class ThriftRPCTests(SynchronousTestCase):
    """thrift-rpc."""

    def setUp(self) -> None:
        self.patch(os, "environ", {**os.environ, URL_VARIABLE: "", FILE_VARIABLE: ""})

    def output(self, *words: str, environment: dict[str, str] | None = None) -> str:
        """All that a command prints, which holds no password."""
        result = CliRunner().invoke(main, words, env=environment)
        self.assertNotIn("Sesame", result.output)
        return result.output

    def test_files_of_the_url_that_cannot_be_read_are_wrong_words(self) -> None:
        """The URL's own, and those that it names: exit status 2."""
        call = ("generated.calculator.Calculator", "add", "1", "2")
        for url in ("amqp://h?password_file=/none", "amqps://h?cacertfile=/none", "amqps://h?certfile=/none"):
            result = CliRunner().invoke(main, ("call", "--broker", url, *call))
            self.assertEqual(result.exit_code, 2, result.output)
            self.assertIn("=/none: No such file or directory", result.output)
        result = CliRunner().invoke(main, ("call", *call), env={FILE_VARIABLE: "/none"})
        self.assertEqual(result.exit_code, 2, result.output)

    def test_shows_messages_about_the_scheme_whole(self) -> None:
        """They name no scheme as the start of a URL, which is taken for one with a login."""
        for url, end in (
            ("http://h", "has the scheme amqp or amqps, as in amqp://***@host:5672/vhost"),
            ("amqp://h?cacertfile=/x", "parameter cacertfile is for TLS: it needs the scheme amqps"),
            (
                "amqp://h?tls=required",
                "refuses the scheme amqp, which sends password and calls without encryption: write amqps",
            ),
        ):
            output = self.output("call", "--broker", url, "generated.calculator.Calculator", "add", "1", "2")
            self.assertTrue(output.strip().endswith(end), output)

    def test_shows_no_login_of_a_url_in_a_wrong_place(self) -> None:
        """As a verb, a stub, a service, an argument or a value of another option; also a URL that is not valid."""
        for url in (URL, WRONG, f"{URL}?nonsense", "amqp://ada:back\\slash 'Sesame@localhost"):
            for words in (
                (url,),
                ("call", url),
                ("call", url, "add"),
                ("call", "generated.calculator.Calculator", url),
                ("call", "generated.calculator.Calculator", "add", url),
                ("call", "generated.calculator.Calculator", "add", "1", url),
                ("call", "generated.calculator.Calculator", "add", f"a={url}", "b=2"),
                ("call", f"--broke={url}", "generated.calculator.Calculator"),
                ("call", "--timeout", url, "generated.calculator.Calculator"),
                ("call", "--protocol", url, "generated.calculator.Calculator"),
                ("dead", url),
                ("dead", "list"),
                ("dead", "show", "Calculator", "--bytes", url),
            ):
                self.assertTrue(self.output(*words), words)
        self.assertIn("No such command 'amqp://***@localhost/v'", self.output(URL))

    def test_shows_no_login_of_a_wrong_url(self) -> None:
        """Given, or from the environment."""
        words = ("call", "generated.calculator.Calculator", "add", "1", "2")
        self.assertIn("'--broker'", self.output(*words, "--broker", WRONG))
        self.assertIn("RPC_BROKER: ", self.output(*words, environment={URL_VARIABLE: WRONG}))

    def test_shows_no_login_in_the_help(self) -> None:
        """The environment's is a default, and not shown."""
        for words in (("--help",), ("call", "--help"), ("dead", "list", "--help")):
            self.assertIn("Usage", self.output(*words, environment={URL_VARIABLE: URL}))

    def test_hands_no_text_with_the_password_to_the_commands(self) -> None:
        """A traceback with variables, or a debugger, shows the broker without its password."""

        @click.command()
        @broker_option
        def command(broker: Any) -> None:
            raise ZeroDivisionError

        result = CliRunner().invoke(command, ["--broker", URL])
        assert result.exception is not None
        frames = traceback.TracebackException.from_exception(result.exception, capture_locals=True).stack
        (own,) = [frame for frame in frames if frame.name == "command"]
        self.assertIn("BrokerURI", str(own.locals))
        self.assertNotIn("Sesame", str(own.locals))


class TwistdTests(SynchronousTestCase):
    """twistd rpc-worker and twistd rpc-broker."""

    def setUp(self) -> None:
        self.patch(os, "environ", {**os.environ, URL_VARIABLE: "", FILE_VARIABLE: ""})

    def refusal(self, options: Any, *words: str) -> str:
        """The line with which a command line is refused."""
        said = str(self.assertRaises(SystemExit, options.parseOptions, words))
        self.assertNotIn("Sesame", said)
        return said

    def test_the_options_forget_the_password(self) -> None:
        """Once they have made the worker."""
        for words, environment in ((["--broker", URL], ""), ([], URL)):
            self.patch(os, "environ", {**os.environ, URL_VARIABLE: environment})
            options = WorkerOptions()
            options.parseOptions([*words, "services.calculator:service"])
            self.assertEqual(options["broker"], "amqp://anna:***@localhost:5672/v")
            self.assertNotIn("Sesame", f"{options} {dict(options)}")

    def test_shows_no_login_of_a_url_in_a_wrong_place(self) -> None:
        for url in (URL, WRONG):
            self.assertIn("write --broker", self.refusal(WorkerOptions(), url))
            self.assertIn("write --broker", self.refusal(WorkerOptions(), "services.calculator:service", url))
        self.refusal(WorkerOptions(), "--broker", WRONG, "services.calculator:service")
        self.refusal(WorkerOptions(), "--broker", URL)
        self.refusal(BrokerOptions(), URL)


class ObjectTests(SynchronousTestCase):
    """Objects that hold a password."""

    def test_print_without_it(self) -> None:
        reactor, uri = MemoryReactorClock(), parse(URL)
        connection = new_connection(reactor, uri, "a test")
        for thing in (
            uri,
            connection,
            connection.credentials,
            BrokerEndpoint(reactor, uri, str, lambda _: None),
            Link(reactor, uri, "client"),
            rpc.Connection(URL, reactor=reactor),
            rpc.Worker(URL, [calculator.service], reactor=reactor),
        ):
            self.assertNotIn("Sesame", f"{thing} {thing!r} {[thing]}", type(thing))
