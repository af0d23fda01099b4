"""The documents do what they say: their code blocks are run as a reader would, in an empty folder, one after another.

The only thing that is changed is the broker's URL. What is beside the blocks is held as well: options, errors, links.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

import rpc
from rpc import errors, uri
from rpc.client.options import ClientOptions
from rpc.client.replies import REFUSALS
from rpc.envelope import CODECS, CONTAINER_LIMIT, MAX_MESSAGE_SIZE, NUMBER_LIMIT
from rpc.topology import ServiceTopology
from rpc.worker.service import ThriftService
from tests.support import BrokerTestCase

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BROKER_URL = "amqp://localhost"
LIMIT = 60.0
"""Seconds that one command of a document may take."""

ECHO = "```sh\necho a\n```\n"


@attrs.frozen
class Block:
    """A fenced block of a document."""

    language: str
    text: str
    line: int

    @property
    def file_name(self) -> str | None:
        """The file it is, as its first line says in a comment."""
        named = re.match(r"(?:#|//) (\S+\.\w+)\n", self.text)
        return named[1] if named else None


def blocks(document: Path) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    text = document.read_text("utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)


class Reader:
    """Does what documents say, in an empty folder."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._url = url
        self._workers: list[tuple[subprocess.Popen[str], threading.Timer]] = []
        commands = Path(sys.executable).parent
        self._environment = {
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def follow(self, document: Path) -> None:
        """Run all blocks of a document; raises ``AssertionError`` for the first that does not do what is said."""
        printed: str | None = None
        unused: set[str] = set()
        for block in blocks(document):
            where = f"{document.name}, line {block.line}"
            text = block.text.replace(BROKER_URL, self._url)
            unused = {name for name in unused if not _uses(text, name)}
            if block.language == "sh":
                printed = self._run(text, where)
            elif block.language == "text":
                if printed is not None and printed != text:
                    raise AssertionError(f"{where}: the command before it printed\n{printed}")
                printed = None
            elif block.file_name is None:
                if block.language in ("python", "thrift"):
                    raise AssertionError(f"{where}: a {block.language} block without a file name cannot be run")
            else:
                path = self.folder / block.file_name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                unused.add(block.file_name)
        if unused:
            raise AssertionError(f"{document.name}: nothing uses {', '.join(sorted(unused))}")

    def _run(self, command: str, where: str) -> str:
        if command.startswith("twistd -n ") and command.endswith(" rpc-broker\n"):
            # Tests keep off the usual port; and who follows the document has a broker already, the one that is tested.
            self._serve(f"{command.strip()} --port 0\n", where, "the embedded broker listens on ")
            return ""
        if re.match(r"(\w+=\S* )*twistd -n ", command):
            self._serve(command, where, "serving ")
            return ""
        ended = subprocess.run(
            ["sh", "-eu", "-c", command],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        if ended.returncode or ended.stderr:
            raise AssertionError(f"{where}: ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    def _serve(self, command: str, where: str, sign: str) -> None:
        """Start a worker or broker, which does not end, and wait until it says `sign`, as the reader does."""
        worker = subprocess.Popen(
            ["env", *shlex.split(command)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        killer = threading.Timer(LIMIT, worker.kill)
        killer.start()
        self._workers.append((worker, killer))
        assert worker.stdout is not None
        seen = []
        for line in worker.stdout:
            seen.append(line)
            if sign in line:
                return
        raise AssertionError(f"{where}: it never said {sign!r}:\n{''.join(seen)}")

    def leave(self) -> list[str]:
        """Press Ctrl-C in every worker's terminal; gives what they wrote meanwhile."""
        outputs = []
        while self._workers:
            worker, killer = self._workers.pop()
            worker.send_signal(signal.SIGINT)
            outputs.append(worker.communicate()[0])
            killer.cancel()
        return outputs


def _uses(text: str, file_name: str) -> bool:
    """Whether a command or a program names the file, the folder it is in, or the module it is."""
    path = Path(file_name)
    module = ".".join(path.with_suffix("").parts)
    folder = f"{path.parts[0]}/" if len(path.parts) > 1 else file_name
    return any(re.search(rf"(?<![\w/.]){re.escape(name)}(?![\w/])", text) for name in (file_name, module, folder))


class BlockTests(BrokerTestCase):
    """A reader who follows a document literally gets what it says."""

    timeout = 120.0

    def follow(self, *documents: str) -> None:
        """Follow documents in one folder; at the end the workers must leave without an error in their logs."""
        reader = Reader(Path(self.mktemp()), self.virtual_host())
        self.addCleanup(reader.leave)
        for document in documents:
            reader.follow(ROOT / document)
        for output in reader.leave():
            self.assertIn("Server Shut Down.", output)
            self.assertNotIn("Traceback", output)

    def test_readme(self) -> None:
        """The README's service is compiled, served and called."""
        self.follow("README.md")

    def test_services(self) -> None:
        """The service that calls another, its .tac file, its client and its test work."""
        self.follow("README.md", "docs/services.md")

    def test_errors_and_wire(self) -> None:
        """The error is the one that is said; the bytes shown are what a worker takes and gives."""
        self.follow("README.md", "docs/errors.md", "docs/wire.md")

    def test_broker(self) -> None:
        """The services of the documents are tested on a stage, by trial and by pytest."""
        self.follow("README.md", "docs/services.md", "docs/broker.md")

    def test_every_program_is_run(self) -> None:
        """No document with a program is left out above."""
        followed = {"README.md", "services.md", "errors.md", "wire.md", "broker.md"}
        with_programs = {
            document.name
            for document in DOCUMENTS
            if any(block.language in ("python", "sh", "thrift") for block in blocks(document))
        }
        self.assertEqual(with_programs - followed, set())


class ReaderTests(SynchronousTestCase):
    """The reader notices what is wrong in a document."""

    def follow(self, text: str) -> None:
        """Follow a document of this text."""
        folder = Path(self.mktemp())
        reader = Reader(folder, "amqp://nowhere")
        document = folder / "document.md"
        document.write_text(text)
        reader.follow(document)

    def test_right(self) -> None:
        """A program that is there, run, and prints what is said."""
        self.follow(
            "```python\n# a.py\nprint('amqp://localhost')\n```\n```sh\npython a.py\n```\n```text\namqp://nowhere\n```\n"
        )

    def test_other_output(self) -> None:
        """What is printed is compared."""
        self.assertIn("printed\na\n", str(self.assertRaises(AssertionError, self.follow, ECHO + "```text\nb\n```\n")))

    def test_failing_command(self) -> None:
        """A command must succeed, and have nothing to complain of."""
        for command in ("false", "echo trouble >&2"):
            self.assertRaises(AssertionError, self.follow, f"```sh\n{command}\n```\n")

    def test_unused_program(self) -> None:
        """A program that nothing runs is not tested."""
        self.assertRaises(AssertionError, self.follow, "```python\n# unused.py\n```\n" + ECHO)

    def test_unnamed_program(self) -> None:
        """Nor is one that has no name."""
        self.assertRaises(AssertionError, self.follow, "```python\nimport nonsense\n```\n")


class ContentTests(SynchronousTestCase):
    """Tables, names and links say what the code says."""

    def test_links(self) -> None:
        """Links between the documents lead somewhere."""
        for document in DOCUMENTS:
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text("utf-8")):
                if "://" not in target:
                    self.assertTrue((document.parent / target).exists(), f"{document.name}: {target}")

    def test_paths(self) -> None:
        """Files and folders of the framework that the documents name are there."""
        for document in DOCUMENTS:
            for path in re.findall(r"`((?:rpc|twisted|typings|scripts)/[\w/.]*)`", document.read_text("utf-8")):
                if not path.endswith("/x.py"):  # the one that a newcomer adds
                    self.assertTrue((ROOT / path).exists(), f"{document.name}: {path}")

    def test_modules(self) -> None:
        """Every module and package of the framework has its place in the architecture."""
        named = words("docs/architecture.md")
        for path in sorted((ROOT / "rpc").iterdir()):
            if path.suffix == ".py":
                self.assertIn(f"`rpc/{path.name}`", named)
            elif (path / "__init__.py").exists():
                self.assertIn(f"`rpc/{path.name}/`", named)

    def test_errors(self) -> None:
        """Every class of rpc.errors is explained, and every type of TApplicationException that we give."""
        explained = words("docs/errors.md")
        classes = [name for name, value in vars(errors).items() if getattr(value, "__module__", "") == errors.__name__]
        self.assertIn("MessageTooLarge", classes)
        for name in classes:
            self.assertIn(f"`{name}`" if name != "Outcome" else "`rpc.Outcome`", explained)
        for outcome in errors.Outcome:
            self.assertIn(f"| `{outcome.name}` |", explained)

    def test_outcomes(self) -> None:
        """Every error of a call has a row, with the outcome that it has unless something else is said."""
        calls, _, _ = sections("errors.md", "error")
        rows = {row[0].strip("`"): row[2] for row in calls}
        self.assertEqual(rows.pop("RPCError` itself"), f"`{errors.Outcome.NOT_SENT.name}`")
        self.assertEqual(set(rows), {kind.__name__ for kind in errors.RPCError.__subclasses__()})
        for kind in errors.RPCError.__subclasses__():
            outcome = kind("what happened").outcome  # type: ignore[call-arg]  # every subclass has a default
            self.assertIn(f"`{outcome.name}`", rows[kind.__name__])

    def test_options(self) -> None:
        """The options of clients and services, with their defaults, in the order of the classes."""
        tables = sections("services.md", "option")
        for rows, options in zip(tables, (ClientOptions, ThriftService), strict=True):
            fields = [field for field in attrs.fields(options) if field.init]
            self.assertEqual([row[0].strip("`") for row in rows], [field.name for field in fields])
            for row, field in zip(rows, fields, strict=True):
                if field.default not in (None, "", attrs.NOTHING):
                    self.assertEqual(row[1].strip("`"), repr(field.default), field.name)

    def test_url_parameters(self) -> None:
        """The parameters of a broker's URL are those that are read."""
        (rows,) = sections("services.md", "parameter")
        with self.assertRaises(errors.InvalidURI) as refused:
            uri.parse("amqp://localhost?nonsense=1")
        known = str(refused.exception).partition("write one of ")[2].split(", ")
        self.assertEqual([row[0].strip("`") for row in rows], known)
        by_name = {row[0].strip("`"): row[1].strip("`") for row in rows}
        localhost = uri.parse("amqp://localhost")
        self.assertEqual(by_name["heartbeat"], str(localhost.heartbeat))
        self.assertEqual(by_name["connection_timeout"], f"{localhost.connection_timeout * 1000:.0f}")
        self.assertEqual(by_name["channel_max"], str(localhost.channel_max))
        self.assertEqual(by_name["frame_max"], str(localhost.frame_max))

    def test_call_context(self) -> None:
        """What a handler may ask of the call it works on is listed."""
        text = words("docs/services.md")
        for field in attrs.fields(rpc.CallContext):
            if field.name.startswith("_"):
                continue
            self.assertIn(f"`{field.name}`", text)

    def test_declarations(self) -> None:
        """The wire's page has every argument with which a worker declares its queues."""
        text = words("docs/wire.md")
        topology = ServiceTopology("S", backlog=1)
        kinds = {"exchange_declare", "queue_declare", "queue_bind"}
        self.assertEqual({declaration.method for declaration in topology.shared()}, kinds)
        for declaration in topology.shared():
            if declaration.method == "queue_declare":
                self.assertTrue(declaration.arguments["durable"])
                self.assertIn(f"`{declaration.arguments['queue'].replace('.S', '.<service>')}`", text)
                for name, value in declaration.arguments["arguments"].items():
                    given = "the most requests waiting" if value == 1 else str(value)
                    self.assertRegex(text, rf"`{name}`: `?{given}")
            elif declaration.method == "exchange_declare":
                self.assertIn(f"| `{declaration.arguments['exchange']}` | exchange, direct, durable |", text)
        for codec in CODECS.values():
            self.assertIn(f"`{codec.content_type}`", text)
        for word in REFUSALS:
            self.assertIn(f"`{word}`", text)
        self.assertIn(f"{MAX_MESSAGE_SIZE} bytes by default", text)
        self.assertIn(f"{CONTAINER_LIMIT:,} elements", text)
        self.assertIn(f"{NUMBER_LIMIT:,} digits", text)


def words(document: str) -> str:
    """The text of a document, wherever its lines end."""
    return " ".join((ROOT / document).read_text("utf-8").split())


def sections(document: str, heading: str) -> list[list[list[str]]]:
    """The tables of a document whose first column is headed so, as rows of cells."""
    found: list[list[list[str]]] = []
    lines = iter((ROOT / "docs" / document).read_text("utf-8").splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            next(lines)
            rows = []
            for row in lines:
                if not row.startswith("|"):
                    break
                rows.append([cell.strip() for cell in row.strip("|").split(" | ")])
            found.append(rows)
    return found
