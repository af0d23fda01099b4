"""``twistd rpc-broker``'s command line: the broker that it makes, and its errors in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.broker.server import BrokerServer
from rpc.cli.broker import Options
from rpc.errors import ConfigurationError


def parse(*words: str) -> dict[str, Any]:
    """Return the options of a command line."""
    options = Options()
    options.parseOptions(words)
    return options


class BrokerTests(SynchronousTestCase):
    """The broker that the options make."""

    def test_has_the_user_guest_unless_users_are_named(self) -> None:
        """Then it has only those."""
        self.assertEqual(parse()["broker"].broker.users, {"guest": "guest"})
        named = parse("--user", "alice:secret", "--user", "bob:with:colons:")["broker"]
        self.assertEqual(named.broker.users, {"alice": "secret", "bob": "with:colons:"})

    def test_takes_users_from_a_file(self) -> None:
        """Beside those of --user; a password there is in no list of processes."""
        file = Path(self.mktemp())
        file.write_text("bob:with:colons:\n\ncarol:secret\n")
        named = parse("--user", "alice:secret", "--users", str(file))["broker"]
        self.assertEqual(named.broker.users, {"alice": "secret", "bob": "with:colons:", "carol": "secret"})

    def test_adds_the_virtual_hosts_that_are_named(self) -> None:
        """To the usual one, which may be named as well."""
        self.assertEqual(set(parse()["broker"].broker.vhosts), {"/"})
        named = parse("--vhost", "one", "--vhost", "two", "--vhost", "/")["broker"]
        self.assertEqual(set(named.broker.vhosts), {"/", "one", "two"})

    def test_takes_the_memory_limit_in_megabytes(self) -> None:
        """The broker's limit is in bytes."""
        self.assertEqual(parse()["broker"].broker.limits.memory, 256 * 2**20)
        self.assertEqual(parse("--memory-limit", "20")["broker"].broker.limits.memory, 20 * 2**20)
        self.assertEqual(parse("--definitions-limit", "3")["broker"].broker.limits.definitions, 3 * 2**20)

    def test_takes_the_version_of_rabbitmq(self) -> None:
        """4 by default."""
        for words, version in (([], 4), (["--compatibility", "3"], 3), (["--compatibility", "4"], 4)):
            self.assertEqual(parse(*words)["broker"].broker.compatibility.version, version)


class RefusalTests(SynchronousTestCase):
    """An error of the command line ends the process with one line."""

    def refusal(self, *words: str) -> str:
        """Return the line, without the command's name."""
        said = str(self.assertRaises(SystemExit, parse, *words))
        self.assertNotIn("\n", said)
        name, _, rest = said.partition(": ")
        self.assertEqual(name, "rpc-broker")
        return rest

    def test_refuses_a_user_without_name_or_password(self) -> None:
        """And one that is given twice; a word that may be a password is not shown."""
        for word in ("s3cret", ":s3cret", "s3cret:", ""):
            self.assertEqual(self.refusal("--user", word), "--user: write it as NAME:PASSWORD")
        self.assertEqual(self.refusal("--user", "a:s3cret", "--user", "a:other"), "--user: a is given twice")

    def test_refuses_a_file_of_users_that_it_cannot_use(self) -> None:
        """The message names the file and the line, and quotes nothing of it."""
        file = Path(self.mktemp())
        self.assertEqual(self.refusal("--users", str(file)), f"--users={file}: No such file or directory")
        for text, told in (
            ("alice:a\ns3cret", f"--users={file}, line 2: write it as NAME:PASSWORD"),
            ("alice:a\n\nalice:b", f"--users={file}, line 3: alice is given twice"),
            ("\n", f"--users={file}: is empty"),
        ):
            file.write_text(text)
            self.assertEqual(self.refusal("--users", str(file)), told)

    def test_refuses_a_virtual_host_without_a_name(self) -> None:
        """No client could ask for it."""
        self.assertEqual(self.refusal("--vhost", ""), "--vhost: a virtual host has a name")

    def test_refuses_numbers_out_of_range(self) -> None:
        """The message has the range."""
        for word in ("65536", "-1", "amqp", "5672.0", "", "\u0665", "9" * 5000):
            self.assertEqual(self.refusal("--port", word), f"--port: {word!r} is no whole number from 0 to 65535")
        for word in ("0", "1.5", "9" * 20):
            said = self.refusal("--memory-limit", word)
            self.assertIn(f"--memory-limit: {word!r} is no whole number from 1 to ", said)

    def test_refuses_other_versions_of_rabbitmq(self) -> None:
        """The message has the allowed ones."""
        self.assertEqual(self.refusal("--compatibility", "2"), "--compatibility: '2' is no whole number from 3 to 4")
        with self.assertRaisesRegex(ConfigurationError, "compatibility=5: must be 3 or 4"):
            BrokerServer(Clock(), compatibility=5)

    def test_refuses_unknown_options_and_arguments(self) -> None:
        """In one line, too."""
        self.assertIn("not recognized", self.refusal("--tls"))
        self.assertIn("arguments", self.refusal("5672"))
