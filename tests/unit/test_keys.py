"""The file of keys: its lines, its errors, and changes of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.errors import ConfigurationError
from rpc.keys import INTERVAL, Keys, as_keys, parse_keys
from tests.unit.logs import log_lines

SECRET = "00112233445566778899aabbccddeeff"
OTHER = "f" * 64


class ParsingTests(SynchronousTestCase):
    """Lines of a file."""

    def test_a_file_has_keys_comments_and_empty_lines(self) -> None:
        """The order of the file is kept, because the first key signs."""
        keys = parse_keys(f"# all\n\n b.1-x_Y {SECRET} \r\na\t{OTHER.upper()}\n", "keys=x")
        self.assertEqual([(key.name, key.secret.hex()) for key in keys.values()], [("b.1-x_Y", SECRET), ("a", OTHER)])

    def test_names_the_line_of_a_mistake_and_shows_no_secret(self) -> None:
        """The error names file and line."""
        for text in (
            "a",
            f"a {SECRET} more",
            f"{SECRET}",
            f"ä {SECRET}",
            f"{'n' * 65} {SECRET}",
            f"a {SECRET[:-2]}",
            f"a {SECRET[:-1]}",
            f"a {SECRET}g0",
            "a " + "00" * 1025,
            f"a {SECRET}\na {OTHER}",
        ):
            error = self.assertRaises(ConfigurationError, parse_keys, f"good {OTHER}\n{text}", "keys=x")
            self.assertIn("keys=x, line ", str(error))
            self.assertNotIn(SECRET[:10], str(error))
            self.assertNotIn("00" * 16, str(error))

    def test_a_file_without_a_key_is_refused(self) -> None:
        """It would sign nothing."""
        self.assertRaises(ConfigurationError, parse_keys, "# none\n", "keys=x")


class KeysTests(SynchronousTestCase):
    """A file that is read again."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.now = 100.0
        self.write(f"old {SECRET}")

    def write(self, text: str) -> None:
        """Replace the file as an operator does."""
        complete = self.path.with_suffix(".new")
        complete.write_text(text + "\n")
        complete.rename(self.path)

    def keys(self, **options: Any) -> Keys:
        """The keys of the file, on the test's clock."""
        return Keys(self.path, clock=lambda: self.now, **options)

    def test_the_first_key_signs_or_the_one_that_is_named(self) -> None:
        """All verify."""
        self.write(f"new {OTHER}\nold {SECRET}")
        self.assertEqual(self.keys().signing.name, "new")
        self.assertEqual(self.keys(sign_with="old").signing.name, "old")
        self.assertEqual(self.keys().find("old"), self.keys(sign_with="old").signing)
        self.assertIsNone(self.keys().find("other"))

    def test_a_changed_file_is_read_again_after_the_interval(self) -> None:
        """Not before, so that messages do not cause a look at the file each."""
        keys = self.keys()
        self.write(f"new {OTHER}")
        self.now += INTERVAL - 0.01
        self.assertEqual(keys.signing.name, "old")
        self.now += 0.01
        self.assertEqual(keys.signing.name, "new")
        self.assertIsNone(keys.find("old"))

    def test_a_file_that_cannot_be_used_changes_nothing(self) -> None:
        """The log says why, once, and shows no secret."""
        told = log_lines(self)
        keys = self.keys(sign_with="old")
        for text in ("", f"old {SECRET[:-4]}", f"new {OTHER}"):
            self.write(text)
            for _ in range(3):
                self.now += INTERVAL
                self.assertEqual(keys.signing.secret.hex(), SECRET)
        os.unlink(self.path)
        self.now += INTERVAL
        self.assertEqual(keys.signing.secret.hex(), SECRET)
        self.assertEqual(len(told), 4, told)
        self.assertNotIn(SECRET[:10], "".join(told))
        self.write(f"old {OTHER}")
        self.now += INTERVAL
        self.assertEqual(keys.signing.secret.hex(), OTHER)

    def test_nothing_secret_is_shown(self) -> None:
        """Neither by the keys nor by one of them."""
        keys = self.keys()
        self.assertNotIn(keys.signing.secret.hex()[:10], repr(keys) + repr(keys.signing) + str(keys.signing))
        self.assertNotIn(repr(keys.signing.secret)[2:12], repr(keys) + repr(keys.signing))

    def test_wrong_arguments_are_refused(self) -> None:
        """The error names the option and the allowed values."""
        for options in ({"skew": -1}, {"skew": True}, {"skew": "60"}, {"skew": float("nan")}, {"sign_with": "other"}):
            self.assertRaises(ConfigurationError, self.keys, **options)

    def test_the_option_takes_a_path_or_keys(self) -> None:
        """A missing file is an error where the option is given."""
        keys = self.keys()
        self.assertIs(as_keys(keys), keys)
        self.assertIsNone(as_keys(None))
        for path in (self.path, str(self.path)):
            made = as_keys(path)
            assert made is not None
            self.assertEqual(made.signing, keys.signing)
        for value in ("/nowhere/keys", 7, b"keys", "a\0b"):
            self.assertRaises(ConfigurationError, as_keys, value)
