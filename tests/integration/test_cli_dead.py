"""``thrift-rpc dead list`` and ``show`` as processes, with a real broker."""

from __future__ import annotations

from typing import Any

from generated.calculator import Calculator as CalculatorStub
from rpc.envelope import CODECS
from rpc.topology import ServiceTopology
from tests.integration.dead_case import DeadTestCase
from tools.nodes.rabbitmq import free_ports

Calculator: Any = CalculatorStub

CALL = 1
STUB = "generated.calculator.Calculator"


class LookTests(DeadTestCase):
    """``list`` and ``show`` change nothing."""

    async def test_lists_a_letter_per_line(self) -> None:
        """The oldest first; a second list is the same."""
        self.bury(message_id="a.1")
        self.bury(b"", type=None, headers=None)
        await self.has_dead(2)
        for _ in range(2):
            lines = (await self.done("list")).splitlines()
            self.assertEqual(lines[0].split(), f"1 unfinished {self.name}.add 3 bytes a.1 it is short".split())
            self.assertEqual(lines[1].split(), ["2", "unfinished", "?", "0", "bytes", "?", "no", "reason", "given"])
            self.assertEqual(lines[2:], [f"2 dead letters of {self.name}"])
            first, second = await self.listed()
            common = {"kind": "unfinished", "original_size": None}
            expected = {"method": f"{self.name}.add", "size": 3, "message_id": "a.1", "reason": "it is short"}
            self.assertEqual(first, {"number": 1, **common, **expected})
            expected = {"method": None, "size": 0, "message_id": None, "reason": None}
            self.assertEqual(second, {"number": 2, **common, **expected})

    async def test_an_empty_queue_is_no_error(self) -> None:
        """Unless a letter is named."""
        self.assertEqual(await self.done("list"), f"0 dead letters of {self.name}\n")
        self.assertEqual(await self.done("list", "--json"), "")
        self.assertEqual(await self.done("purge", "--all"), f"deleted 0 dead letters of {self.name}\n")
        self.assertEqual(await self.done("replay", "--all"), f"replayed 0 dead letters to {self.topology.queue}\n")
        self.assertIn("no such dead letter: 1; there are 0", await self.failure("show", "1"))

    async def test_names_the_queue_that_does_not_exist(self) -> None:
        """No worker has served the service."""
        self.name = self.unique("Nobody")
        for arguments in (["list"], ["show", "1"], ["replay", "--all"], ["purge", "--all"]):
            self.assertIn(f"there is no queue rpc.{self.name}", await self.failure(*arguments))
        self.assertIn("there is no queue elsewhere in", await self.failure("list", "--queue", "elsewhere"))

    async def test_a_service_without_a_dead_letter_has_none(self) -> None:
        """Its queues of dead letters are declared with their first letters."""
        self.name = self.unique("Healthy")
        channel = await (await self.connect()).open_channel()
        await channel.queue_declare(queue=ServiceTopology(self.name).queue, durable=True, auto_delete=True)
        self.assertEqual(await self.done("list"), f"0 dead letters of {self.name}\n")

    async def test_takes_the_name_of_the_queue_as_an_option(self) -> None:
        """As services do."""
        await self.buried("a")
        self.name = "another"
        self.assertIn("1 dead letter of another", await self.done("list", "--queue", self.topology.queue))

    async def test_tries_the_hosts_of_the_url_one_after_another(self) -> None:
        """The error is that of a call."""
        (port,) = free_ports(1)
        self.url_used = f"amqp://127.0.0.1:{port}"
        error = await self.failure("list")
        self.assertTrue(error.startswith("broker unreachable: "), error)
        self.url_used = self.url.replace("@", f"@127.0.0.1:{port},")
        self.assertIn("0 dead letters", await self.done("list"))

    async def test_shows_all_of_a_letter(self) -> None:
        """Named by number or by message id."""
        self.bury(message_id="a.1")
        self.bury(b"\x00\x01A", message_id="a.2", headers={"rpc-dead-reason": "odd\x1b", "user": "Ada"}, priority=3)
        await self.has_dead(2)
        shown = await self.done("show", "a.2", "1")
        first, second = shown.split("letter 2\n")
        self.assertIn("message_id: a.1", first)
        self.assertEqual(
            second.splitlines(),
            [
                "  kind: unfinished",
                "  reason: odd\\u001b",
                "  header user: 'Ada'",
                "  delivery_mode: 2",
                "  priority: 3",
                "  message_id: a.2",
                f"  type: {self.name}.add",
                "  body: 3 bytes",
                f"  00000000  {'00 01 41':<47}  ..A",
            ],
        )
        self.assertIn("no such dead letter: 3, a.3; there are 2", await self.failure("show", "1", "3", "a.3"))

    async def test_shows_arguments_with_the_stub(self) -> None:
        """For a body that is no request, the reason and the bytes."""
        codec = CODECS["compact"]
        self.bury(codec.encode("add", CALL, 1, Calculator.add_args(num1=1, num2=2)), content_type=codec.content_type)
        self.bury(b"abc")
        await self.has_dead(2)
        first, second = (await self.done("show", "1", "2", "--stub", STUB)).split("letter 2\n")
        self.assertIn('  arguments: add {"num1": 1, "num2": 2}\n', first)
        self.assertIn("  no arguments: not a Thrift message", second)
        self.assertIn("61 62 63", second)

    async def test_lists_fewer_letters_than_rabbitmq_counts(self) -> None:
        """RabbitMQ counts expired letters behind one that has not expired, and does not deliver them."""
        self.bury(message_id="a")
        self.bury(message_id="b", expiration="1")
        self.bury(message_id="c")
        await self.has_dead(3)
        self.assertEqual([letter["message_id"] for letter in await self.listed()], ["a", "c"])
