"""Only the user of the state file can read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rpc.broker.state_file import make_private
from tests.unit.broker.test_store import StoreCase


def modes(folder: Path) -> dict[str, str]:
    """The permissions of all files in a folder."""
    return {each.name: oct(stat.S_IMODE(each.stat().st_mode)) for each in folder.iterdir()}


class ModeCase(StoreCase):
    """With a umask that lets all users read and write."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.umask, os.umask(0))


class ServerTests(ModeCase):
    """A server with a state file."""

    async def test_makes_all_its_files_private(self) -> None:
        """The database, its log, its index and the lock."""
        await self.start()
        found = modes(self.file.parent)
        self.assertEqual(found, dict.fromkeys(found, "0o600"))
        self.assertEqual({*found}, {self.file.name + end for end in ("", "-wal", "-shm", ".lock")})

    async def test_takes_permissions_of_others_from_a_file(self) -> None:
        """Once, and the log says so."""
        await self.stop(await self.start())
        self.file.chmod(0o664)
        lines: list[str] = []
        self.patch(__import__("rpc.broker.store", fromlist=["log"]).log, "msg", lines.append)
        for _ in range(2):
            await self.stop(await self.start())
        said = [line for line in lines if "0600" in line]
        self.assertEqual(len(said), 1)
        self.assertIn(str(self.file), said[0])
        self.assertEqual(modes(self.file.parent), {self.file.name: "0o600"})


class FileTests(SynchronousTestCase):
    """make_private."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.file = self.folder / "state"
        self.addCleanup(os.umask, os.umask(0))

    def test_makes_a_file_that_is_missing(self) -> None:
        self.assertFalse(make_private(str(self.file)))
        self.assertEqual(modes(self.folder), {"state": "0o600"})

    def test_changes_the_files_of_a_killed_broker(self) -> None:
        """They have messages as well."""
        for name in ("state", "state-wal", "state-shm"):
            (self.folder / name).touch(0o666)
        self.assertTrue(make_private(str(self.file)))
        self.assertEqual({*modes(self.folder).values()}, {"0o600"})
        self.assertFalse(make_private(str(self.file)))

    def test_follows_a_link(self) -> None:
        """SQLite's files are beside the file that it names."""
        (self.folder / "real").touch(0o644)
        self.file.symlink_to("real")
        self.assertTrue(make_private(str(self.file)))
        self.assertEqual({*modes(self.folder).values()}, {"0o600"})

    def test_fails_when_the_file_cannot_be_opened(self) -> None:
        self.assertRaises(OSError, make_private, str(self.folder))
