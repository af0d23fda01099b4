"""OAuth 2 tokens as passwords: a new one in the file keeps a connection in use (connection.update-secret).

RabbitMQ's plugin is configured with a key of the test's own, which signs the tokens (RFC 7519, HS256).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from rpc import secret_watch
from rpc.errors import ChannelClosed
from rpc.link import Link
from rpc.uri import parse
from tests.integration.amqp_case import later
from tools.nodes.rabbitmq import RabbitMQNode

ADVANCED = """
[{{rabbitmq_auth_backend_oauth2, [
  {{resource_server_id, <<"rabbitmq">>}},
  {{key_config, [
    {{default_key, <<"k">>}},
    {{signing_keys, #{{<<"k">> => {{map, #{{<<"kty">> => <<"oct">>, <<"k">> => <<"{key}">>}}}}}}}}
  ]}}
]}}].
"""


def encoded(content: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class TokenTests(TestCase):
    """On a RabbitMQ that takes tokens for passwords."""

    timeout = 90.0

    def setUp(self) -> None:
        self.key = secrets.token_bytes(32)
        self.node = RabbitMQNode(
            plugins=["rabbitmq_auth_backend_oauth2"], config={"auth_backends.1": "rabbit_auth_backend_oauth2"}
        )
        self.addCleanup(deferToThread, self.node.close)
        (self.node.folder / "advanced.config").write_text(ADVANCED.format(key=encoded(self.key)))
        self.file = Path(self.mktemp())
        self.patch(secret_watch, "INTERVAL", 0.05)

    def token(self, seconds: int) -> str:
        """A token with all permissions, which expires in so many seconds."""
        claims = {
            "sub": "service",
            "aud": ["rabbitmq"],
            "scope": [f"rabbitmq.{permission}:*/*" for permission in ("configure", "write", "read")],
            "exp": int(time.time()) + seconds,
        }
        parts = [{"alg": "HS256", "typ": "JWT", "kid": "k"}, claims]
        signed = ".".join(encoded(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{encoded(hmac.digest(self.key, signed.encode(), hashlib.sha256))}"

    async def declare(self, connection: Any) -> None:
        """Declare a queue, on a channel of its own."""
        channel = await connection.open_channel()
        await channel.queue_declare(queue="", exclusive=True)
        await channel.close()

    async def test_a_new_token_keeps_the_connection_in_use(self) -> None:
        """With an expired one, RabbitMQ refuses the connection's methods; with the new one it goes on."""
        await deferToThread(self.node.start)
        self.file.write_text(self.token(10))  # longer than a slow machine takes to connect
        url = f"amqp://service@127.0.0.1:{self.node.port}?password_file={quote(str(self.file))}"
        link = Link(reactor, parse(url), "client")
        self.addCleanup(link.stopService)
        link.startService()
        await link.when_connected()
        connection = link.connection
        assert connection is not None
        await self.declare(connection)
        with self.assertRaisesRegex(ChannelClosed, "expired"):
            while True:
                await self.declare(connection)
                await later(0.1)
        self.file.write_text(self.token(60))
        while True:
            try:
                await self.declare(connection)
            except ChannelClosed:
                await later(0.1)
            else:
                break
        self.assertIs(link.connection, connection)
