"""The files that the Thrift compiler reads, from its report."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rpc.compiler.reading import MissingInclude, understand

A, B, C = Path("/idl/a.thrift"), Path("/idl/b c.thrift"), Path("/idl/c.thrift")


def scanning(path: Path) -> str:
    """Return the line before a file's includes."""
    return f"Scanning {path} for includes\n"


def parsing(path: Path) -> str:
    """Return the line after a file's includes."""
    return f"Parsing {path} for types\n"


class ReadingTests(SynchronousTestCase):
    """Reports as ``thrift -v`` writes them."""

    def test_lists_each_file_once_after_its_includes(self) -> None:
        """A file that two others include is scanned twice."""
        said = (
            scanning(A)
            + scanning(B)
            + scanning(C)
            + parsing(C)
            + parsing(B)
            + scanning(C)
            + parsing(C)
            + parsing(A)
            + f'Program: {A}\nGenerating "xml:merge"\n'
        )
        reading = understand(said)
        self.assertEqual(reading.files, (C, B, A))
        self.assertEqual((reading.cyclic, reading.missing), (None, None))

    def test_lists_the_files_of_a_run_that_failed(self) -> None:
        """The file that failed, then the files that include it."""
        reading = understand(scanning(A) + scanning(B) + scanning(C) + parsing(C) + f"[ERROR:{B}:3] syntax error\n")
        self.assertEqual(reading.files, (C, B, A))

    def test_finds_a_file_that_includes_itself(self) -> None:
        """Directly or through another file; the report goes on until the compiler crashes."""
        self.assertEqual(understand(scanning(A) * 3).cyclic, A)
        self.assertEqual(understand((scanning(A) + scanning(B)) * 1000).cyclic, A)
        self.assertEqual(understand(scanning(A) + (scanning(B) + scanning(C)) * 2).cyclic, B)

    def test_finds_a_file_that_includes_itself_in_the_words_of_newer_compilers(self) -> None:
        """They stop (0.24)."""
        said = f'[FAILURE:{B}:2] Recursion detected, file: "{A}"' + scanning(A) + scanning(B)
        self.assertEqual(understand(said).cyclic, A)

    def test_lists_the_direct_includes_of_each_file(self) -> None:
        """In the file's order, each once."""
        said = scanning(A) + scanning(B) + scanning(C) + parsing(C) + parsing(B) + scanning(C) + parsing(C) + parsing(A)
        self.assertEqual(understand(said).includes, {A: (B, C), B: (C,)})

    def test_finds_the_first_missing_include(self) -> None:
        """Relative and absolute paths are reported in different words."""
        for words in ("Could not find", "Cannot open"):
            first = f"[WARNING:{A}:7] {words} include file x y.thrift\n\n"
            second = f"[WARNING:{A}:8] {words} include file z\n"
            self.assertEqual(understand(scanning(A) + first + second).missing, MissingInclude(A, 7, "x y.thrift"))

    def test_ignores_other_lines(self) -> None:
        """Warnings of other kinds."""
        reading = understand(f'[WARNING:{A}:1] 64-bit constant "5" may not work in all languages.\n')
        self.assertEqual((reading.files, reading.cyclic, reading.missing), ((), None, None))
