"""``twistd rpc-broker``'s command line: which broker, and in one line why not."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.cli.broker import Options


def parse(*words: str) -> dict[str, Any]:
    """The options that a command line gives."""
    options = Options()
    options.parseOptions(words)
    return options


class BrokerTests(SynchronousTestCase):
    """What the broker is made of."""

    def test_users(self) -> None:
        """guest is there when nobody is named, and those who are named are alone."""
        self.assertEqual(parse()["broker"].broker.users, {"guest": "guest"})
        named = parse("--user", "alice:secret", "--user", "bob:with:colons:")["broker"]
        self.assertEqual(named.broker.users, {"alice": "secret", "bob": "with:colons:"})

    def test_virtual_hosts(self) -> None:
        """Those that are named are there besides the usual one; who names that has said nothing new."""
        self.assertEqual(set(parse()["broker"].broker.vhosts), {"/"})
        named = parse("--vhost", "one", "--vhost", "two", "--vhost", "/")["broker"]
        self.assertEqual(set(named.broker.vhosts), {"/", "one", "two"})

    def test_memory_limit(self) -> None:
        """It is given in megabytes."""
        self.assertEqual(parse()["broker"].broker.limits.memory, 256 * 2**20)
        self.assertEqual(parse("--memory-limit", "20")["broker"].broker.limits.memory, 20 * 2**20)


class RefusalTests(SynchronousTestCase):
    """What is wrong with a command line is said in one line, with which the process ends."""

    def refusal(self, *words: str) -> str:
        """The line, without the command's name."""
        said = str(self.assertRaises(SystemExit, parse, *words))
        self.assertNotIn("\n", said)
        name, _, rest = said.partition(": ")
        self.assertEqual(name, "rpc-broker")
        return rest

    def test_users(self) -> None:
        """A user has a name and a password, once; what may be a password is not shown."""
        for word in ("s3cret", ":s3cret", "s3cret:", ""):
            self.assertEqual(self.refusal("--user", word), "--user: write it as NAME:PASSWORD")
        self.assertEqual(self.refusal("--user", "a:s3cret", "--user", "a:other"), "--user: a is given twice")

    def test_virtual_host(self) -> None:
        """A virtual host without a name could not be asked for."""
        self.assertEqual(self.refusal("--vhost", ""), "--vhost: a virtual host has a name")

    def test_numbers(self) -> None:
        """Numbers keep to their range."""
        for word in ("65536", "-1", "amqp", "5672.0", "", "\u0665", "9" * 5000):
            self.assertEqual(self.refusal("--port", word), f"--port: {word!r} is no whole number from 0 to 65535")
        for word in ("0", "1.5", "9" * 20):
            said = self.refusal("--memory-limit", word)
            self.assertIn(f"--memory-limit: {word!r} is no whole number from 1 to ", said)

    def test_what_it_does_not_know(self) -> None:
        """Neither unknown options nor arguments are passed over."""
        self.assertIn("not recognized", self.refusal("--tls"))
        self.assertIn("arguments", self.refusal("5672"))
