"""``thrift-rpc dead`` as a process, with letters of all kinds."""

from __future__ import annotations

from rpc.cli.dead_replay import IN_FLIGHT
from rpc.topology import DeadLetterKind
from tests.integration.amqp_case import later
from tests.integration.dead_case import DeadTestCase

UNFINISHED, UNSERVED, INVALID = DeadLetterKind.UNFINISHED, DeadLetterKind.UNSERVED, DeadLetterKind.INVALID


class KindsTests(DeadTestCase):
    """Each kind has a queue."""

    async def declare(self, url: str) -> None:
        await super().declare(url)
        for kind in DeadLetterKind:
            for declaration in self.topology.dead_letters(kind):
                await self.broker_channel.declare(declaration)

    async def bury_each(self, count: int = 1) -> list[str]:
        """Publish letters of all kinds, in another order than that of the list. Return their ids as listed."""
        for kind in (INVALID, UNFINISHED, UNSERVED):
            for number in range(count):
                self.bury(kind=kind, message_id=f"{kind.value}-{number}")
        for kind in DeadLetterKind:
            await self.has_dead(count, kind)
        return [f"{kind.value}-{number}" for kind in DeadLetterKind for number in range(count)]

    async def left(self) -> list[str | None]:
        """Consume all letters, and return their ids as they are listed."""
        return [name for kind in DeadLetterKind for name in await self.ids(self.topology.queue_of_kind(kind))]

    async def test_lists_all_kinds_and_numbers_them_through(self) -> None:
        """Unfinished ones first. A letter has the same number when other kinds are left out."""
        ids = await self.bury_each(2)
        listed = await self.listed()
        kinds = [kind.value for kind in DeadLetterKind for _ in range(2)]
        self.assertEqual([letter["message_id"] for letter in listed], ids)
        self.assertEqual([letter["kind"] for letter in listed], kinds)
        self.assertEqual([letter["number"] for letter in listed], [1, 2, 3, 4, 5, 6])
        chosen = await self.done("list", "--kind", "invalid", "--kind", "unfinished")
        self.assertEqual(
            [line.split()[:2] for line in chosen.splitlines()[:2]], [["1", "unfinished"], ["2", "unfinished"]]
        )
        self.assertEqual([line.split()[:2] for line in chosen.splitlines()[2:4]], [["5", "invalid"], ["6", "invalid"]])
        self.assertIn("message_id: unserved-1", await self.done("show", "4"))
        self.assertIn("no such dead letter: 4", await self.failure("show", "4", "--kind", "invalid"))

    async def test_purges_one_kind(self) -> None:
        """The other letters stay, in their order."""
        ids = await self.bury_each(2)
        self.assertIn("deleted 2 dead letters", await self.done("purge", "--all", "--yes", "--kind", "invalid"))
        self.assertIn("deleted 1 dead letter", await self.done("purge", "3", "--yes"))
        self.assertEqual(await self.left(), [ids[0], ids[1], ids[3]])

    async def test_replays_letters_of_all_kinds_but_those_with_a_head_alone(self) -> None:
        """In the order of the list."""
        ids = await self.bury_each()
        self.bury(kind=INVALID, message_id="head", headers={"rpc-dead-size": 70_000})
        await self.has_dead(2, INVALID)
        error = await self.failure("replay", "--all")
        self.assertEqual(
            error.splitlines(),
            [
                "1 dead letter not replayed:",
                f"  {self.name}.add, message id head: only 3 of its 70000 bytes were kept",
            ],
        )
        self.assertEqual(await self.ids(self.topology.queue), ids)
        self.assertEqual(await self.left(), ["head"])

    async def test_a_replay_that_is_killed_loses_no_letter_of_any_kind(self) -> None:
        """Some of 2,100 may be in both queues: those in flight, and those before them, whose acks were not written yet,
        or not taken. The acks have a connection of their own.
        """
        ids = await self.bury_each(700)
        command = self.start("replay", "--all")
        while await self.waiting(self.topology.queue) < 750:
            await later(0.005)
        command.signal("KILL")
        await command.ended
        await self.released()
        while (await self.listed_count()) + await self.waiting(self.topology.queue) < len(ids):
            await later(0.05)
        replayed, left = await self.ids(self.topology.queue), await self.left()
        self.assertEqual(set(replayed) | set(left), set(ids))
        self.assertLessEqual(len(replayed) + len(left), len(ids) + 3 * IN_FLIGHT)

    async def listed_count(self) -> int:
        """Return how many letters are ready."""
        return sum([await self.waiting(self.topology.queue_of_kind(kind)) for kind in DeadLetterKind])

    async def test_a_purge_that_is_not_confirmed_puts_all_kinds_back(self) -> None:
        """In their order."""
        ids = await self.bury_each(3)
        ended = await self.run_dead("purge", "--all", answer="n")
        self.assertEqual(ended.status, 1, ended.output)
        self.assertEqual(await self.left(), ids)

    async def test_queues_that_were_never_needed_have_no_letters(self) -> None:
        """Also when the one of unfinished letters is missing. Letters of an older worker are all in that one."""
        await self.bury_each()
        await self.broker_channel.queue_delete(queue=self.topology.dead_queue)
        await self.broker_channel.queue_delete(queue=self.topology.queue_of_kind(UNSERVED))
        self.assertEqual([letter["message_id"] for letter in await self.listed()], ["invalid-0"])
        self.assertEqual(await self.done("list", "--kind", "unserved"), f"0 dead letters of {self.name}\n")
        self.assertIn("replayed 1 dead letter", await self.done("replay", "1"))


class KindsInQuorumQueuesTests(KindsTests):
    """The same in quorum queues."""

    queue_type = "quorum"
