"""Tells the broker a new password during a connection, when the file that holds it has changed.

RabbitMQ's extension ``connection.update-secret`` is for OAuth 2 tokens: RabbitMQ ends what a connection may do when its
token expires (https://www.rabbitmq.com/docs/oauth2). A password of RabbitMQ's own users is checked at login only; for
them the broker agrees and does nothing, and the next connection logs in with the new password.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from rpc import log
from rpc.amqp.protocol import AMQPConnection
from rpc.broker_address import current, may_change
from rpc.errors import ConfigurationError
from rpc.interfaces import IClock
from rpc.uri import BrokerURI

INTERVAL: Final = 5.0
"""Seconds between two looks. A look opens and reads a small file; where nothing changes it sends nothing."""


class SecretWatch:
    """Watches the password file of one connection. Without such a file, no timer runs."""

    def __init__(self, clock: IClock, uri: BrokerURI, connection: AMQPConnection) -> None:
        """:param uri: with its password `connection` has logged in."""
        self._uri = uri
        self._connection = connection
        self._problem = ""
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def start(self) -> None:
        """Look at the file from now on, if there is one and the broker takes new passwords."""
        connection = self._connection
        takes = connection.broker.takes_new_secrets and connection.definition.has("connection.update-secret")
        if may_change(self._uri) and self._uri.auth_mechanism == "PLAIN" and takes:
            watching = self._loop.start(INTERVAL, now=False)
            watching.addErrback(lambda failure: log.err(failure, "while watching the file of a password"))

    def stop(self) -> None:
        """The connection is gone."""
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> Deferred[None] | None:
        """Tell the broker a new password.

        :return: fires after the broker's answer. The loop waits for it before it looks again.
        """
        try:
            read = current(self._uri)
        except ConfigurationError as error:
            self._tell_once(f"the password is not read anew: {error}")
            return None
        if read.password == self._uri.password:
            self._problem = ""
            return None
        if read.username != self._uri.username:
            self._tell_once(f"the user is now {read.username!r}: the next connection logs in as that one")
            return None
        told = self._connection.update_secret(read.password)
        return told.addCallbacks(self._taken, self._not_taken, callbackArgs=(read,))

    def _taken(self, _: object, read: BrokerURI) -> None:
        self._uri = read
        self._problem = ""
        log.msg(f"the broker was told the new password of user {read.username!r}")

    def _not_taken(self, failure: Failure) -> None:
        """Say so once. After a refusal RabbitMQ closes the connection, and the link connects anew, with the new
        password. A secret that does not fit into a frame was not sent.
        """
        self._tell_once(f"the broker was not told the new password: {failure.value}")

    def _tell_once(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            log.warn(problem)
