"""Signed calls on a real broker, with a peer that has a login and no key."""

from __future__ import annotations

import time
from typing import Any

import attrs
from twisted.internet.defer import DeferredQueue
from twisted.internet.utils import getProcessOutputAndValue

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Numbers, Work
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.content import Delivery
from rpc.headers import DEAD_REASON
from rpc.keys import INTERVAL, Keys
from rpc.messages import Properties
from rpc.topology import DeadLetterKind
from tests.integration.amqp_case import later
from tests.integration.call_case import PROJECT, Handler
from tests.integration.dead_case import COMMAND, DeadTestCase
from tests.unit.signed import BATCH, MOBILE, write_keys

UNSERVED, INVALID = DeadLetterKind.UNSERVED, DeadLetterKind.INVALID


class SigningHandler(Handler):
    """Notes the signers of calls."""

    def __init__(self) -> None:
        super().__init__()
        self.signers: list[str | None] = []
        self.metadata: list[dict[str, Any]] = []

    def add(self, num1: int, num2: int) -> int:
        self.note()
        return super().add(num1, num2)

    def zip(self) -> Any:
        self.note()
        return super().zip()

    def note(self) -> None:
        """Note the call, and set metadata of its reply."""
        call = rpc.current_call()
        assert call is not None
        self.signers.append(call.signed_by)
        self.metadata.append(dict(call.metadata))
        call.reply_headers.update(call.metadata)


class SignedTestCase(DeadTestCase):
    """A service that takes signed requests only; a client with a key, and a peer without one.

    :ivar now: the clock by which files are read again.
    """

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        await super().setUp()
        self.now = 0.0
        self.path = self.keys_file(mobile=MOBILE, batch=BATCH)
        self.handler = SigningHandler()
        self.worker = await self.serve()
        self.connection = await rpc.connect(self.url)
        self.addCleanup(self.connection.close)
        self.client = self.client_with(self.keys_file(mobile=MOBILE))

    def keys_file(self, **secrets: bytes) -> str:
        """Write a file of keys."""
        return write_keys(self.mktemp(), **secrets)

    def keys(self, path: str, **options: Any) -> Keys:
        """Keys on the test's clock."""
        return Keys(path, clock=lambda: self.now, **options)

    async def serve(self, **options: Any) -> rpc.Worker:
        """Start a worker."""
        options = {"keys": self.keys(self.path), "require_signature": True, **options}
        worker = rpc.Worker(self.url, [rpc.ThriftService(Calculator, self.handler, name=self.name, **options)])
        worker.startService()
        self.addCleanup(worker.stopService)
        await worker.when_serving()
        return worker

    def client_with(self, keys: Any, **options: Any) -> Any:
        """A client with these keys."""
        return self.connection.client(Calculator, name=self.name, keys=keys, **{"timeout": 20.0, **options})

    async def fails(self, call: Any, error: type[rpc.RPCError]) -> str:
        """The call fails; return the text of its error."""
        try:
            result = await call
        except error as caught:
            return str(caught)
        raise AssertionError(f"no {error.__name__} but {result!r}")

    async def listen(self) -> DeferredQueue[Delivery]:
        """Have the peer read all requests of the service, as the permission to bind a queue lets it."""
        queue = await self.queue(self.broker_channel)
        await self.broker_channel.queue_bind(queue=queue, exchange="rpc", routing_key=self.name)
        return await self.consume(self.broker_channel, queue)

    def send(self, properties: Properties, body: bytes, exchange: str = "rpc", key: str = "") -> None:
        """Have the peer send a message."""
        self.broker_channel.publish(exchange, key or self.name, encode_properties(properties), body)


def changed(properties: Properties, **headers: Any) -> Properties:
    """Return properties with further headers."""
    return attrs.evolve(properties, headers={**(properties.headers or {}), **headers})


class SignedCallTests(SignedTestCase):
    """Calls with and without keys."""

    async def test_signed_calls_in_all_protocols(self) -> None:
        """With metadata of every kind that can be signed, in both directions."""
        metadata = {"z": "näher", "a": b"\x00\xff", "n": -1, "big": 2**63 - 1, "yes": True, "empty": ""}
        for protocol in ("binary", "compact", "json"):
            client = rpc.with_options(self.client, protocol=protocol, headers=metadata)
            reply = await rpc.with_reply(client.add, 2, 3)
            self.assertEqual((reply.value, dict(reply.headers)), (5, metadata))
            self.assertEqual(await client.sum(Numbers([1, 2])), 3)
        await rpc.with_options(self.client, retry=True).zip()
        while "zip" not in self.handler.ran:
            await later(0.01)
        self.assertEqual(set(self.handler.signers), {"mobile"})

    async def test_refuses_clients_without_a_key_of_the_service(self) -> None:
        """The first has none, the second another secret, the third a key that the service does not know."""
        self.assertIn("signed requests only", await self.fails(self.client_with(None).add(1, 2), rpc.AccessDenied))
        for secrets, text in (({"mobile": BATCH}, "is not right"), ({"tablet": MOBILE}, "'tablet'")):
            client = self.client_with(self.keys_file(**secrets))
            self.assertIn(text, await self.fails(client.add(1, 2), rpc.InvalidReply))
        self.assertEqual(self.handler.signers, [])
        self.assertEqual(await self.client.add(2, 3), 5)

    async def test_refuses_a_client_whose_clock_is_wrong(self) -> None:
        """The refusal is signed, so its error is the true one."""
        for ahead in (-3600, 3600):
            keys = Keys(self.path, wall=lambda ahead=ahead: time.time() + ahead)  # type: ignore[misc]
            self.assertIn("clock", await self.fails(self.client_with(keys).add(1, 2), rpc.AccessDenied))

    async def test_keys_are_changed_without_a_restart(self) -> None:
        """The steps of docs/security.md, with calls in between."""
        path = self.keys_file(mobile=MOBILE)
        client = self.client_with(self.keys(path))
        new = b"\x07" * 32
        for at, secrets in (
            (self.path, {"mobile": MOBILE, "batch": BATCH, "mobile2": new}),
            (path, {"mobile2": new, "mobile": MOBILE}),
            (self.path, {"batch": BATCH, "mobile2": new}),
            (path, {"mobile2": new}),
        ):
            write_keys(at, **secrets)
            self.now += INTERVAL
            self.assertEqual(await client.add(2, 3), 5)
        self.assertEqual(self.handler.signers, ["mobile", "mobile2", "mobile2", "mobile2"])
        self.assertIn("'mobile'", await self.fails(self.client.add(1, 2), rpc.InvalidReply))

    async def test_the_command_line_signs(self) -> None:
        """``thrift-rpc call --keys``."""
        arguments = [
            "call",
            "--broker",
            self.url,
            "--name",
            self.name,
            "generated.calculator.Calculator",
            "add",
            "2",
            "3",
        ]
        output, error, status = await getProcessOutputAndValue(
            str(COMMAND), [*arguments, "--keys", self.path], path=str(PROJECT)
        )
        self.assertEqual((output, error, status), (b"5\n", b"", 0))
        output, error, status = await getProcessOutputAndValue(str(COMMAND), arguments, path=str(PROJECT))
        self.assertIn(b"access denied", error)
        self.assertEqual((output, status), (b"", 1))

    async def test_raw_calls_are_signed(self) -> None:
        """Without a stub."""
        message = bytes.fromhex("80010001 00000003 616464 00000001 08 0001 00000002 08 0002 00000003 00")
        reply = await self.connection.call_raw(self.name, message, keys=self.path)
        self.assertTrue(reply.message.startswith(bytes.fromhex("80010002")))
        self.assertEqual(self.handler.signers, ["mobile"])


class HostileTests(SignedTestCase):
    """A peer that reads the requests of others, and can publish where it likes."""

    async def test_replays_and_changed_copies_do_not_run(self) -> None:
        """The true call gets its own result, and the peer gets nothing that tells more than a refusal."""
        requests = await self.listen()
        client = rpc.with_options(self.client, headers={"user": "ada"})
        call = client.calculate(1, Work())
        request = await requests.get()
        await self.handler.holding(1)
        own_queue = await self.queue(self.broker_channel)
        answers = await self.consume(self.broker_channel, own_queue)
        true = request.properties
        for properties in (true, changed(true, **{"rpc-deliveries": 1}), changed(true, **{"rpc-renewals": 1})):
            self.send(properties, request.body)
        forged = [
            (attrs.evolve(true, reply_to=own_queue), request.body),
            (attrs.evolve(true, reply_to=own_queue, correlation_id="other", message_id="other"), request.body),
            (changed(attrs.evolve(true, reply_to=own_queue), user="root"), request.body),
            (attrs.evolve(true, reply_to=own_queue), request.body.replace(b"\x01", b"\x02")),
            (Properties(reply_to=own_queue, message_id=true.message_id), request.body),
        ]
        for properties, body in forged:
            self.send(properties, body)
        for _ in forged:
            self.assertEqual((await answers.get()).properties.headers, {"rpc-outcome": "access-denied"})
        self.assertEqual((self.handler.ran, len(self.handler.held)), ([1], 1))
        self.handler.release()
        self.assertEqual(await call, 7)
        self.send(true, request.body)
        self.send(Properties(reply_to=own_queue), request.body)  # its refusal comes behind the replay
        await answers.get()
        self.assertEqual(self.handler.ran, [1])

    async def test_a_replay_in_another_service_is_refused(self) -> None:
        """Also if both have the same keys."""
        requests = await self.listen()
        await self.client.add(2, 3)
        request = await requests.get()
        self.name = self.unique("Calculator")
        await self.serve()
        self.send(request.properties, request.body)
        while not self.client._caller.incoming.late_replies:  # the refusal
            await later(0.01)
        self.assertEqual(self.handler.signers, ["mobile"])

    async def test_forged_replies_and_cancellations_have_no_effect(self) -> None:
        """The peer knows the ids and the reply queue."""
        requests = await self.listen()
        call = self.client.calculate(1, Work())
        request = await requests.get()
        await self.handler.holding(1)
        true = request.properties
        message_id = (true.message_id or "").encode()
        self.send(Properties(type="rpc.cancel"), message_id, "rpc.broadcast")
        keepalive = Properties(correlation_id=true.correlation_id, headers={"rpc-keepalive": "host.1.forged"})
        self.send(keepalive, b"", "", true.reply_to or "")
        self.assertEqual(await self.client.add(2, 3), 5)
        self.assertEqual(self.handler.running, 1)
        body = (
            bytes.fromhex("80010002 00000009 63616c63756c617465")
            + request.body[17:21]
            + bytes.fromhex("08 0000 00000063 00")
        )
        self.send(
            Properties(content_type=true.content_type, correlation_id=true.correlation_id),
            body,
            "",
            true.reply_to or "",
        )
        self.assertIn("it is not signed", await self.fails(call, rpc.InvalidReply))
        self.handler.release()


class AgainTests(SignedTestCase):
    """Requests that come again for a good reason."""

    async def test_redelivered_requests_run(self) -> None:
        """The connection of their worker is lost; they come to it again, or to another worker, as counted copies."""
        self.client = rpc.with_options(self.client, idempotent=[])
        await self.serve()
        calls = [self.client.calculate(number, Work()) for number in range(20)]
        await self.handler.holding(20)
        connection: Any = self.worker._link.connection
        connection.transport.abortConnection()
        await self.worker.when_serving()
        answered: list[Any] = []
        for call in calls:
            call.addBoth(answered.append)
        while len(answered) < len(calls):
            self.handler.release()
            await later(0.02)
        self.assertEqual(answered, [7] * 20)

    async def test_further_attempts_run(self) -> None:
        """The client's connection is lost, and it sends the call again."""
        client = rpc.with_options(self.client, idempotent=["calculate"])
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        client._caller.channel.client.transport.abortConnection()
        await self.handler.holding(2)
        self.handler.release()
        self.assertEqual(await call, 7)

    async def test_requests_of_a_worker_that_stops_run_elsewhere(self) -> None:
        """It republishes the requests that it has not begun."""
        slow = self.worker
        await slow.stopService()
        slow = await self.serve(concurrency=1)
        calls = [self.client.calculate(number, Work()) for number in range(5)]
        await self.handler.holding(1)
        stopped = slow.stopService()
        await self.serve()
        await self.handler.holding(5)
        self.handler.release()
        self.assertEqual([await call for call in calls], [7] * 5)
        await stopped


class DeadTests(SignedTestCase):
    """Dead letters of a service that takes signed requests only."""

    async def test_a_replay_signs_letters_anew_that_were_signed(self) -> None:
        """A letter that was not signed is not made a good one. Without keys, signed letters stay."""
        for kind in (UNSERVED, INVALID):
            for declaration in self.topology.dead_letters(kind):
                await self.broker_channel.declare(declaration)
        late = Keys(self.keys_file(batch=BATCH), wall=lambda: time.time() - 25 * 3600)
        await self.client_with(late, headers={"user": "ada"}).zip()
        await self.has_dead(1, UNSERVED)
        await self.client_with(None).zip()
        await self.client_with(self.keys_file(batch=MOBILE)).zip()
        await self.has_dead(2, INVALID)
        self.assertEqual(self.handler.ran, [])
        self.assertIn("give --keys", await self.failure("replay", "1"))
        failure = await self.failure("replay", "--all", "--keys", self.path)
        self.assertIn("2 dead letters not replayed", failure)
        self.assertIn("it is not signed", failure)
        self.assertIn("is not right", failure)
        while not self.handler.ran:
            await later(0.01)
        self.assertEqual((self.handler.signers, self.handler.metadata), (["batch"], [{"user": "ada"}]))
        await self.has_dead(0, UNSERVED)
        await self.has_dead(2, INVALID)
        reasons = [
            (letter.properties.headers or {})[DEAD_REASON]
            for letter in await self.taken(self.topology.queue_of_kind(INVALID))
        ]
        self.assertIn("signed requests only", reasons[0])
        self.assertIn("is not right", reasons[1])
