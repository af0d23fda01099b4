"""Where the broker's URL and password come from, and the errors of each place; no error shows a password."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import attrs
from twisted.trial.unittest import SynchronousTestCase

from rpc.broker_address import FILE_VARIABLE, TLS_VARIABLE, URL_VARIABLE, Origin, current, may_change, resolve
from rpc.errors import ConfigurationError, InvalidURI
from rpc.small_files import LARGEST
from rpc.uri import BrokerURI, parse

ENVIRONMENT = Origin.ENVIRONMENT


class AddressTestCase(SynchronousTestCase):
    """An environment of the test's own, and a file."""

    def setUp(self) -> None:
        self.environment: dict[str, str] = {}
        self.patch(os, "environ", self.environment)
        self.file = Path(self.mktemp())

    def url(self, **parameters: str) -> str:
        """A URL of user anna with these parameters."""
        return "amqp://anna@h/v?" + "&".join(f"{name}={quote(value)}" for name, value in parameters.items())

    def refusal(self, url: str | BrokerURI | Origin) -> str:
        """The message with which the address is refused."""
        error = self.assertRaises(ConfigurationError, resolve, url)
        self.assertNotIn("secret", str(error))
        return str(error)


class ResolveTests(AddressTestCase):
    """resolve and current."""

    def test_takes_a_url_as_it_is(self) -> None:
        """A given URL is stronger than the environment."""
        self.environment.update({URL_VARIABLE: "amqp://other", FILE_VARIABLE: "/other"})
        self.assertEqual(resolve("amqp://u:p@h"), parse("amqp://u:p@h"))
        self.assertFalse(may_change(resolve("amqp://u:p@h")))

    def test_takes_the_url_of_the_environment(self) -> None:
        """RPC_BROKER, or the file of RPC_BROKER_FILE, or localhost. An empty variable counts as none."""
        self.environment.update({URL_VARIABLE: "", FILE_VARIABLE: ""})
        self.assertEqual(resolve(ENVIRONMENT), parse("amqp://localhost"))
        self.environment[URL_VARIABLE] = "amqp://one"
        self.assertEqual(resolve(ENVIRONMENT), parse("amqp://one"))
        self.file.write_text("amqp://u:secret@two\n")
        self.environment.update({URL_VARIABLE: "", FILE_VARIABLE: str(self.file)})
        self.assertEqual(resolve(ENVIRONMENT), attrs.evolve(parse("amqp://u:secret@two"), url_file=str(self.file)))

    def test_reads_the_password_of_a_file(self) -> None:
        """Without the line end behind it, and anew each time."""
        self.file.write_bytes("pä ss\r\n".encode())
        uri = resolve(self.url(password_file=str(self.file)))
        self.assertEqual((uri.username, uri.password), ("anna", "pä ss"))
        self.assertTrue(may_change(uri))
        self.file.write_text("another")
        self.assertEqual(current(uri), attrs.evolve(uri, password="another"))

    def test_reads_the_password_of_a_variable(self) -> None:
        self.environment["PASSWORD"] = "pass word"
        self.assertEqual(resolve(self.url(password_env="PASSWORD")).password, "pass word")

    def test_reads_a_file_whose_url_names_a_file(self) -> None:
        """Both are read anew."""
        password = Path(self.mktemp())
        password.write_text("one")
        self.file.write_text(self.url(password_file=str(password)))
        self.environment[FILE_VARIABLE] = str(self.file)
        uri = resolve(ENVIRONMENT)
        self.assertEqual((uri.username, uri.password), ("anna", "one"))
        password.write_text("two")
        self.assertEqual(current(uri).password, "two")
        self.file.write_text("amqp://berta:three@h")
        self.assertEqual((current(uri).username, current(uri).password), ("berta", "three"))
        self.assertTrue(may_change(current(uri)))

    def test_shows_no_password_that_was_read(self) -> None:
        """In no text of the values."""
        self.file.write_text("secret")
        uri = resolve(self.url(password_file=str(self.file)))
        self.assertEqual(uri.password, "secret")
        self.assertNotIn("secret", f"{uri} {uri!r} {[uri]}")


class RefusalTests(AddressTestCase):
    """Errors."""

    def test_names_the_file_that_cannot_be_used(self) -> None:
        """It must be regular, small and UTF-8, and hold a password. A pipe would make the reactor wait."""
        pipe, folder = Path(self.mktemp()), Path(self.mktemp())
        os.mkfifo(pipe)
        folder.mkdir()
        for path, content, told in (
            (self.file, None, "No such file"),
            (self.file, b"", "is empty"),
            (self.file, b"\n", "is empty"),
            (self.file, b"secret\xff", "is not UTF-8"),
            (self.file, b"secret\0", "zero byte"),
            (self.file, b"x" * (LARGEST + 1), f"is larger than {LARGEST} bytes"),
            (pipe, None, "is no regular file"),
            (folder, None, "directory"),
        ):
            if content is not None:
                path.write_bytes(content)
            message = self.refusal(self.url(password_file=str(path)))
            self.assertIn(f"password_file={path}: ", message)
            self.assertIn(told, message)

    def test_names_the_variable_that_is_not_there(self) -> None:
        for value in (None, ""):
            if value is not None:
                self.environment["PASSWORD"] = value
            self.assertIn("no environment variable PASSWORD", self.refusal(self.url(password_env="PASSWORD")))

    def test_names_the_place_of_a_wrong_url(self) -> None:
        """The variable, or the file as well."""
        self.environment[URL_VARIABLE] = "amqp://u:secret@h:x"
        self.assertIn("RPC_BROKER: the port", self.refusal(ENVIRONMENT))
        self.file.write_text("amqp://u:secret@h\namqp://u:secret@i")
        self.environment.update({URL_VARIABLE: "", FILE_VARIABLE: str(self.file)})
        self.assertIn(f"RPC_BROKER_FILE={self.file}: the URI holds a blank or a control", self.refusal(ENVIRONMENT))
        self.file.unlink()
        self.assertIn(f"RPC_BROKER_FILE={self.file}: No such file", self.refusal(ENVIRONMENT))

    def test_refuses_two_urls_of_the_environment(self) -> None:
        self.environment.update({URL_VARIABLE: "amqp://u:secret@h", FILE_VARIABLE: "/f"})
        self.assertIn("RPC_BROKER and RPC_BROKER_FILE are both set", self.refusal(ENVIRONMENT))

    def test_refuses_a_plain_connection_where_tls_is_required(self) -> None:
        """RPC_TLS=required is for every URL of the process, also one that a file has later."""
        self.environment[TLS_VARIABLE] = "required"
        for url in ("amqp://u:secret@h", ENVIRONMENT):
            self.assertIn("RPC_TLS=required refuses the scheme amqp", self.refusal(url))
        self.assertTrue(resolve("amqps://h").tls)
        self.file.write_text("amqps://h")
        self.environment[FILE_VARIABLE] = str(self.file)
        uri = resolve(ENVIRONMENT)
        self.file.write_text("amqp://h")
        self.assertRaises(InvalidURI, current, uri)
        self.environment[TLS_VARIABLE] = "yes"
        self.assertIn("RPC_TLS=yes: must be required", self.refusal("amqps://h"))
