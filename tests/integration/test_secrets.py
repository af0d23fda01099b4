"""Passwords from files: read at each connection, and told to the broker when they change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator
from rpc import secret_watch
from rpc.broker_address import FILE_VARIABLE, URL_VARIABLE
from rpc.errors import AuthenticationFailed
from services import calculator
from tests.integration.amqp_case import AMQPTestCase, later
from tests.integration.test_link import Consumer, LinkTestCase


class PasswordFileTests(LinkTestCase):
    """password_file, with a user and a virtual host of the test's own."""

    async def make_user(self) -> tuple[str, str, Path]:
        """Make a user with password one; return its name, its virtual host, and a file with that password."""
        user, vhost = self.unique("user"), self.unique("vhost")
        await deferToThread(self.broker.add_virtual_host, vhost)
        await deferToThread(self.broker.add_user, user, "one", vhost)
        file = Path(self.mktemp())
        file.write_text("one\n")
        return user, vhost, file

    async def change(self, user: str, vhost: str, password: str) -> None:
        """Change the password at the broker, and close the user's connections."""
        await deferToThread(self.broker.change_password, user, password)
        await deferToThread(self.broker.close_connections, "the password has changed", vhost)

    async def test_logs_in_with_the_password_that_the_file_then_has(self) -> None:
        """After a connection is lost; and when the file changes after the attempts have begun to fail."""
        user, vhost, file = await self.make_user()
        consumer = Consumer()
        link = self.link(f"amqp://{user}@127.0.0.1:{self.broker.port}/{vhost}?password_file={quote(str(file))}")
        link.attach(consumer)
        await self.check_works(consumer)
        file.write_text("two")
        await self.change(user, vhost, "two")
        await self.check_works(consumer)
        await self.change(user, vhost, "three")
        while "403" not in (link.problem or ""):
            await later(0.05)
        file.write_text("three\n")
        await self.check_works(consumer)

    async def test_connects_again_when_the_file_is_back(self) -> None:
        """A file that is missing for a while fails attempts, with its name."""
        user, vhost, file = await self.make_user()
        consumer = Consumer()
        link = self.link(f"amqp://{user}@127.0.0.1:{self.broker.port}/{vhost}?password_file={quote(str(file))}")
        link.attach(consumer)
        await self.check_works(consumer)
        file.unlink()
        await deferToThread(self.broker.close_connections, "maintenance", vhost)
        while f"password_file={file}: No such file" not in (link.problem or ""):
            await later(0.05)
        file.write_text("one")
        await self.check_works(consumer)

    async def test_reads_the_whole_url_anew(self) -> None:
        """The file of RPC_BROKER_FILE may name another user."""
        user, vhost, file = await self.make_user()
        where = f"127.0.0.1:{self.broker.port}/{vhost}"
        file.write_text(f"amqp://{user}:wrong@{where}\n")
        self.patch(os, "environ", {FILE_VARIABLE: str(file)})
        await self.assertFailure(rpc.connect(reactor=reactor), AuthenticationFailed)
        file.write_text(f"amqp://{user}:one@{where}\n")
        connection = await rpc.connect(reactor=reactor)
        self.addCleanup(connection.close)
        self.assertNotIn("one", repr(connection))


class RefusedLoginTests(LinkTestCase):
    """Calls of a client whose login the broker refuses."""

    async def call_fails(self, client: Any, words: str) -> None:
        """A call fails before its deadline: the error of a call that has waited would be CallTimedOut."""
        error = await self.assertFailure(client.add(2, 3), rpc.ServiceUnavailable)
        self.assertIs(error.outcome, rpc.Outcome.NOT_SENT)
        self.assertIn("Calculator.add: not sent: the broker refuses the connection", str(error))
        self.assertIn(words, str(error))
        self.assertIn("Correct the URL", str(error))

    async def test_calls_fail_with_the_words_of_the_broker(self) -> None:
        """A call that waits for the connection, and one that is made while the broker refuses it."""
        wrong = [(self.url.replace("guest:guest", "guest:wrong"), "403 "), (f"{self.url}/nowhere", "530 ")]
        for url, words in wrong:
            connection = rpc.Connection(url, reactor=reactor)
            self.addCleanup(connection.close)
            client = connection.client(Calculator, timeout=50.0)
            connection.startService()
            for _ in range(2):
                await self.call_fails(client, words)

    async def test_calls_work_again_with_the_right_password(self) -> None:
        """The password of a file was wrong when the connection was lost."""
        user, vhost = self.unique("user"), self.unique("vhost")
        await deferToThread(self.broker.add_virtual_host, vhost)
        await deferToThread(self.broker.add_user, user, "one", vhost)
        file = Path(self.mktemp())
        file.write_text("one\n")
        url = f"amqp://{user}@127.0.0.1:{self.broker.port}/{vhost}?password_file={quote(str(file))}"
        service = rpc.ThriftService(Calculator, calculator.CalculatorHandler())
        worker = rpc.Worker(f"{self.url}/{vhost}", [service], reactor=reactor)
        worker.startService()
        self.addCleanup(worker.stopService)
        await worker.when_serving()
        connection = await rpc.connect(url, reactor=reactor)
        self.addCleanup(connection.close)
        client = connection.client(Calculator, timeout=50.0)
        self.assertEqual(await client.add(2, 3), 5)
        await deferToThread(self.broker.change_password, user, "two")
        await deferToThread(self.broker.close_connections, "the password has changed", vhost)
        while True:
            try:
                await client.add(2, 3)
            except rpc.ConnectionLost:  # it was sent before the connection was closed
                await later(0.01)
            except rpc.ServiceUnavailable as error:
                self.assertIn("403 ", str(error))
                break
        file.write_text("two\n")
        while True:
            try:
                self.assertEqual(await client.add(2, 3), 5)
            except rpc.ServiceUnavailable:
                await later(0.05)
            else:
                break


class EnvironmentTests(LinkTestCase):
    """Without a URL."""

    async def test_connects_and_serves_without_a_url(self) -> None:
        """RPC_BROKER has it."""
        self.patch(os, "environ", {URL_VARIABLE: self.url})
        name = self.unique("Calculator")
        service = rpc.ThriftService(Calculator, calculator.CalculatorHandler(), name=name)
        worker = rpc.Worker(services=[service], reactor=reactor)
        worker.startService()
        self.addCleanup(worker.stopService)
        await worker.when_serving()
        connection = await rpc.connect(reactor=reactor)
        self.addCleanup(connection.close)
        self.assertEqual(await connection.client(Calculator, name=name).add(2, 3), 5)


class UpdateSecretTests(AMQPTestCase):
    """connection.update-secret."""

    async def test_the_broker_takes_a_new_secret(self) -> None:
        """And goes on. For a user with a password it has no effect, so any secret will do."""
        connection = await self.connect()
        self.assertTrue(connection.broker.takes_new_secrets)
        await connection.update_secret("another")
        self.assertTrue(await connection.open_channel())

    async def test_tells_the_broker_when_the_file_changes(self) -> None:
        """Once for each change, during the connection, which stays."""
        self.patch(secret_watch, "INTERVAL", 0.02)
        file = Path(self.mktemp())
        file.write_text("guest")
        url = f"amqp://guest@127.0.0.1:{self.broker.port}?password_file={quote(str(file))}"
        connection: Any = await rpc.connect(url, reactor=reactor)
        self.addCleanup(connection.close)
        session = connection._link.connection
        told: list[str] = []
        update_secret = session.update_secret

        def note(secret: str) -> Any:
            return update_secret(secret).addCallback(lambda _: told.append(secret))

        session.update_secret = note
        for secret in ("guest2", "guest3"):
            file.write_text(secret)
            while secret not in told:
                await later(0.02)
        await later(0.1)
        self.assertEqual(told, ["guest2", "guest3"])
        self.assertFalse(session.closed)
