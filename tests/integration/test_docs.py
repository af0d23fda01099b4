"""The documents are tested: their code blocks run as a reader would run them, in an empty folder, one after another.

Only the broker's URL is changed. Tables of options and errors, paths and links are compared with the code.
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
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import attrs
import click
from twisted.trial.unittest import SynchronousTestCase

import rpc
from rpc import access_log, errors, uri
from rpc.cli.dead import dead_command
from rpc.cli.main import VERBS, main
from rpc.cli.queue import queue_command
from rpc.cli.worker import Options as WorkerOptions
from rpc.client.options import ClientOptions
from rpc.client.replies import REFUSALS
from rpc.envelope import CODECS, CONTAINER_LIMIT, MAX_MESSAGE_SIZE, NUMBER_LIMIT
from rpc.gateway.answers import type_of
from rpc.metrics import METRICS, families
from rpc.topology import EXCHANGES, DeadLetterKind, ServiceTopology
from rpc.worker.queue_options import QueueOptions
from rpc.worker.service import ThriftService
from tests.integration.documents import ROOT, blocks
from tests.support import BrokerTestCase, skip_without_transient_queues
from tools.nodes.rabbitmq import free_ports

DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
EXAMPLES = sorted((ROOT / "examples").glob("*/README.md"))
"""``test_examples.py`` runs their programs."""

GROUPS = ("dead", "queue")
"""Verbs that have verbs of their own."""

BROKER_URL = "amqp://localhost"
PORTS = ("9090", "8080")
"""Of the documents, which may be in use."""

LIMIT = 60.0
"""Seconds that one command of a document may take; and for the start of a worker, and for its end."""

ECHO = "```sh\necho a\n```\n"


class Reader:
    """Runs the blocks of documents in an empty folder."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._url = url
        self._ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self._workers: list[subprocess.Popen[str]] = []
        commands = Path(sys.executable).parent
        self._environment = {
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def follow(self, document: Path) -> None:
        """Run all blocks of a document; raises ``AssertionError`` for the first that fails or prints something else."""
        printed: str | None = None
        unused: set[str] = set()
        for block in blocks(document):
            where = f"{document.name}, line {block.line}"
            text = self._adapted(block.text)
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

    def _adapted(self, text: str) -> str:
        """Return a block with the broker under test, and with ports that are free."""
        for port, free in self._ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        return text.replace(BROKER_URL, self._url)

    def _run(self, command: str, where: str) -> str:
        if command.startswith("twistd -n ") and command.endswith(" rpc-broker\n"):
            # Not on the usual port, which may be in use. The document is followed with the broker under test.
            self._serve(f"{command.strip()} --port 0\n", where, "the embedded broker listens on ")
            return ""
        if command.startswith("thrift-rpc gateway ") or " gateway.py" in command:
            self._serve(command, where, "the gateway listens on ")
            return ""
        if re.match(r"(\w+=\S* )*(twistd -n|thrift-rpc serve) ", command):
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
        """Start a worker or broker, and wait for the line with `sign`, as a reader does."""
        worker = subprocess.Popen(
            ["env", *shlex.split(command)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._workers.append(worker)
        assert worker.stdout is not None
        seen = []
        with _killed_when_late(worker):
            for line in worker.stdout:
                seen.append(line)
                if sign in line:
                    return
        raise AssertionError(f"{where}: it never said {sign!r}:\n{''.join(seen)}")

    def leave(self) -> list[str]:
        """Press Ctrl-C in every worker's terminal; return their output."""
        outputs = []
        while self._workers:
            worker = self._workers.pop()
            worker.send_signal(signal.SIGINT)
            with _killed_when_late(worker):
                outputs.append(worker.communicate()[0])
        return outputs


@contextmanager
def _killed_when_late(worker: subprocess.Popen[str]) -> Iterator[None]:
    """End the output of a worker that hangs. In between it serves as many commands as a page has."""
    killer = threading.Timer(LIMIT, worker.kill)
    killer.start()
    try:
        yield
    finally:
        killer.cancel()


def _uses(text: str, file_name: str) -> bool:
    """Whether a command or a program names the file, the folder it is in, or the module it is."""
    path = Path(file_name)
    module = ".".join(path.with_suffix("").parts)
    folder = f"{path.parts[0]}/" if len(path.parts) > 1 else file_name
    return any(re.search(rf"(?<![\w/.]){re.escape(name)}(?![\w/])", text) for name in (file_name, module, folder))


class BlockTests(BrokerTestCase):
    """A document that is followed literally works."""

    timeout = 120.0

    def follow(self, *documents: str) -> None:
        """Follow documents in one folder; at the end the workers must leave without an error in their logs."""
        reader = Reader(Path(self.mktemp()), self.virtual_host())
        self.addCleanup(reader.leave)
        for document in documents:
            reader.follow(ROOT / document)
        for output in reader.leave():
            self.assertRegex(output, r"Main loop terminated\.|the gateway has stopped")
            self.assertNotIn("Traceback", output)

    def test_the_readme_compiles_serves_and_calls_its_service(self) -> None:
        """The README works in an empty folder."""
        self.follow("README.md")

    def test_the_guide_serves_a_service_that_calls_another(self) -> None:
        """Its worker, its .tac file, its client and its test work."""
        self.follow("README.md", "docs/guide.md")

    def test_operations_show_a_dead_letter_and_replay_it(self) -> None:
        """The commands print the text on the page."""
        self.follow("README.md", "docs/operations.md")

    def test_errors_and_wire_show_the_error_and_the_bytes(self) -> None:
        """The error is the documented one; a worker takes and sends the documented bytes."""
        self.follow("README.md", "docs/errors.md", "docs/wire.md")

    def test_the_broker_page_tests_the_services_of_the_guide(self) -> None:
        """Its test cases run with trial and with pytest."""
        self.follow("README.md", "docs/guide.md", "docs/broker.md")

    async def test_the_page_about_moving_runs_old_and_new_programs_together(self) -> None:
        """Its old server and its worker share a queue; both clients are answered."""
        await skip_without_transient_queues(self)
        self.follow("docs/migrating.md")

    def test_the_gateway_page_serves_an_ordinary_client(self) -> None:
        """Its stubs are compiled by Thrift alone."""
        self.follow("README.md", "docs/gateway.md")

    def test_observability_counts_and_traces_calls(self) -> None:
        """The programs print the metrics and the spans."""
        self.follow("README.md", "docs/observability.md")

    def test_every_program_is_run(self) -> None:
        """No document with a program is left out above."""
        followed = {
            "README",
            "guide",
            "operations",
            "observability",
            "errors",
            "wire",
            "broker",
            "migrating",
            "gateway",
        }
        with_programs = {
            document.stem
            for document in DOCUMENTS
            if any(block.language in ("python", "sh", "thrift") for block in blocks(document))
        }
        self.assertEqual(with_programs - followed, set())


class ReaderTests(SynchronousTestCase):
    """The reader notices mistakes in a document."""

    def follow(self, text: str) -> None:
        """Follow a document of this text."""
        folder = Path(self.mktemp())
        reader = Reader(folder, "amqp://nowhere")
        document = folder / "document.md"
        document.write_text(text)
        reader.follow(document)

    def test_accepts_a_program_that_prints_the_text_below_it(self) -> None:
        """The program is written, run, and its output compared; the broker's URL is replaced."""
        self.follow(
            "```python\n# a.py\nprint('amqp://localhost')\n```\n```sh\npython a.py\n```\n```text\namqp://nowhere\n```\n"
        )

    def test_rejects_another_output(self) -> None:
        """The error shows the actual output."""
        self.assertIn("printed\na\n", str(self.assertRaises(AssertionError, self.follow, ECHO + "```text\nb\n```\n")))

    def test_rejects_a_command_that_fails_or_writes_to_standard_error(self) -> None:
        """A command must succeed silently."""
        for command in ("false", "echo trouble >&2"):
            self.assertRaises(AssertionError, self.follow, f"```sh\n{command}\n```\n")

    def test_rejects_a_program_that_no_command_uses(self) -> None:
        """An unused program would be untested."""
        self.assertRaises(AssertionError, self.follow, "```python\n# unused.py\n```\n" + ECHO)

    def test_rejects_a_program_without_a_file_name(self) -> None:
        """A program without a name cannot be run."""
        self.assertRaises(AssertionError, self.follow, "```python\nimport nonsense\n```\n")


class ContentTests(SynchronousTestCase):
    """Tables, names and links agree with the code."""

    def test_links_lead_to_files_and_headings(self) -> None:
        """The file of every link exists, and has the heading."""
        for document in (*DOCUMENTS, *EXAMPLES):
            for target, heading in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", document.read_text("utf-8")):
                if "://" in target:
                    continue
                path = document.parent / target if target else document
                self.assertTrue(path.exists(), f"{document.name}: {target}")
                if heading:
                    self.assertIn(heading, anchors(path), f"{document.name}: {target}")

    def test_the_readme_links_to_every_page(self) -> None:
        """A page without a link from the README is not found by its readers."""
        linked = set(re.findall(r"\]\(docs/(\w+\.md)\)", (ROOT / "README.md").read_text("utf-8")))
        self.assertEqual(linked, {page.name for page in (ROOT / "docs").glob("*.md")})

    def test_paths_of_the_framework_exist(self) -> None:
        """Every file and folder of the framework that a document names exists."""
        for document in DOCUMENTS:
            for path in re.findall(r"`((?:rpc|twisted|typings|scripts)/[\w/.]*)`", document.read_text("utf-8")):
                if not path.endswith("/x.py"):  # a placeholder in the table of how to add something
                    self.assertTrue((ROOT / path).exists(), f"{document.name}: {path}")

    def test_the_architecture_names_every_module(self) -> None:
        """Every module and package of the framework has its place in the architecture."""
        named = words("docs/architecture.md")
        for path in sorted((ROOT / "rpc").iterdir()):
            if path.suffix == ".py":
                self.assertIn(f"`rpc/{path.name}`", named)
            elif (path / "__init__.py").exists():
                self.assertIn(f"`rpc/{path.name}/`", named)

    def test_every_error_is_explained(self) -> None:
        """Every class of rpc.errors and every outcome is on the page of errors."""
        explained = words("docs/errors.md")
        classes = [name for name, value in vars(errors).items() if getattr(value, "__module__", "") == errors.__name__]
        self.assertIn("MessageTooLarge", classes)
        for name in classes:
            self.assertIn(f"`{name}`" if name != "Outcome" else "`rpc.Outcome`", explained)
        for outcome in errors.Outcome:
            self.assertIn(f"| `{outcome.name}` |", explained)

    def test_the_gateway_page_has_the_answer_for_every_error(self) -> None:
        """And the type that the code gives."""
        rows = {row[0].strip("`"): row[1] for row in sections("gateway.md", "error")[0]}
        self.assertEqual(set(rows), {kind.__name__ for kind in errors.RPCError.__subclasses__()})
        for kind in errors.RPCError.__subclasses__():
            number = type_of(kind("what happened"))  # type: ignore[call-arg]  # every subclass has a default
            self.assertRegex(rows[kind.__name__], rf"\({number}\)$")

    def test_every_error_of_a_call_has_a_row_with_its_outcome(self) -> None:
        """The row of every error has its default outcome."""
        calls, _, _ = sections("errors.md", "error")
        rows = {row[0].strip("`"): row[2] for row in calls}
        self.assertEqual(rows.pop("RPCError` itself"), f"`{errors.Outcome.NOT_SENT.name}`")
        self.assertEqual(set(rows), {kind.__name__ for kind in errors.RPCError.__subclasses__()})
        for kind in errors.RPCError.__subclasses__():
            outcome = kind("what happened").outcome  # type: ignore[call-arg]  # every subclass has a default
            self.assertIn(f"`{outcome.name}`", rows[kind.__name__])

    def test_tables_of_options_agree_with_the_classes(self) -> None:
        """Clients and services: names, order and defaults."""
        tables = sections("options.md", "option")
        for rows, options in zip(tables, (ClientOptions, ThriftService, QueueOptions), strict=True):
            fields = [field for field in attrs.fields(options) if field.init and not field.inherited]
            self.assertEqual([row[0].strip("`") for row in rows], [field.name for field in fields])
            for row, field in zip(rows, fields, strict=True):
                default: Any = field.default
                if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # attrs has a class for it
                    default = default.factory()
                if default not in (None, "", attrs.NOTHING):
                    self.assertEqual(row[1].strip("`"), repr(default), field.name)

    def test_the_table_of_url_parameters_is_complete(self) -> None:
        """Its rows and defaults are those of the parser."""
        (rows,) = sections("options.md", "parameter")
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

    def test_tables_of_commands_agree_with_their_help(self) -> None:
        """Every option of thrift-rpc and of twistd rpc-worker has its row, and every row its option."""
        for verb in [main.get_command(click.Context(main), name) for name in VERBS if name not in GROUPS]:
            assert verb is not None
            (rows,) = sections("options.md", f"`{verb.name}`")
            self.assertEqual([row[0].strip("`") for row in rows], long_options(verb))
        (rows,) = sections("options.md", "`queue migrate`")
        self.assertEqual([row[0].strip("`") for row in rows], long_options(queue_command.commands["migrate"]))
        (rows,) = sections("options.md", "`dead`")
        documented = {(row[0].strip("`"), verb) for row in rows for verb in re.findall(r"[a-z]+", row[1])}
        actual = {(option, verb) for verb, one in dead_command.commands.items() for option in long_options(one)}
        shared = {option for option, verb in documented if verb == "all"}
        everywhere = {(option, verb) for option in shared for verb in dead_command.commands}
        self.assertEqual({pair for pair in documented if pair[1] != "all"} | everywhere, actual)
        (rows,) = sections("options.md", "`rpc.Worker`")
        parameters: Any = WorkerOptions.optParameters + WorkerOptions.optFlags
        flags = {flag for row in rows for flag in re.findall(r"`--([\w-]+)`", row[1])}
        self.assertEqual(flags, {parameter[0] for parameter in parameters})
        self.assertEqual([row[0].strip("`") for row in rows if row[0]], list(signature(rpc.Worker).parameters))

    def test_the_table_of_metrics_agrees_with_the_code(self) -> None:
        """Names, kinds, labels and meanings, in order; and the outcomes of calls."""
        kinds = {families.COUNTER: "counter", families.GAUGE: "gauge", families.HISTOGRAM: "histogram"}
        (rows,) = sections("observability.md", "metric")
        written = [
            [f"`{metric.name}`", kinds[metric.kind], ", ".join(f"`{label}`" for label in metric.labels), metric.text]
            for metric in METRICS
        ]
        self.assertEqual(rows, written)
        page = words("docs/observability.md")
        for ending in rpc.Ending:
            self.assertIn(f"`{ending.value}`", page)

    def test_the_table_of_the_access_log_has_its_fields(self) -> None:
        """In order."""
        (rows,) = sections("observability.md", "field")
        names = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
        self.assertEqual(names, list(access_log.FIELDS))

    def test_every_attribute_of_the_current_call_is_listed(self) -> None:
        """The guide names every public attribute of CallContext."""
        text = words("docs/guide.md")
        for field in attrs.fields(rpc.CallContext):
            if field.name.startswith("_"):
                continue
            self.assertIn(f"`{field.name}`", text)

    def test_no_command_of_a_page_makes_a_pid_file(self) -> None:
        """A pid file that is left over in a container, with the id 1, prevents the next start."""
        commands = [
            line
            for document in DOCUMENTS
            for block in blocks(document)
            if block.language in ("sh", "console")
            for line in block.text.splitlines()
            if "twistd" in line
        ]
        self.assertTrue(commands)
        for command in commands:
            self.assertRegex(command, "twistd -n --pidfile= ")

    def test_the_wire_page_has_every_declared_argument(self) -> None:
        """Exchanges, queues and their arguments, content types, outcomes and limits are on the page."""
        text = words("docs/wire.md")
        topology = ServiceTopology("S", backlog=1, consumer_timeout=7.0, max_priority=2)
        dead = [declaration for kind in DeadLetterKind for declaration in topology.dead_letters(kind)]
        declared = [*EXCHANGES, *topology.requests(), *topology.quarantine(), *dead]
        kinds = {"exchange_declare", "queue_declare", "queue_bind"}
        self.assertEqual({declaration.method for declaration in declared}, kinds)
        for declaration in declared:
            if declaration.method == "queue_declare":
                self.assertTrue(declaration.arguments["durable"])
                self.assertIn(f"`{declaration.arguments['queue'].replace('.S', '.<service>')}`", text)
                for name, value in declaration.arguments["arguments"].items():
                    given = {1: "the most ready requests", 2: "the highest priority", 7000: "milliseconds"}.get(
                        value, str(value)
                    )
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


def long_options(command: click.Command) -> list[str]:
    """Options of a command, by the name that its table uses, in order."""
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return [option.opts[0] for option in options if not option.hidden]


def anchors(document: Path) -> set[str]:
    """The headings of a document, as links name them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def words(document: str) -> str:
    """The text of a document, with single spaces for line ends."""
    return " ".join((ROOT / document).read_text("utf-8").split())


def sections(document: str, heading: str) -> list[list[list[str]]]:
    """The tables of a document with this heading of the first column, as rows of cells."""
    found: list[list[list[str]]] = []
    text = (ROOT / "docs" / document).read_text("utf-8").splitlines()
    lines = iter(zip(text, [*text[1:], ""], strict=True))
    for line, below in lines:
        if line.startswith(f"| {heading} |") and below.startswith("|---"):
            next(lines)
            rows = []
            for row, _ in lines:
                if not row.startswith("|"):
                    break
                rows.append([cell.strip() for cell in row.strip("|").split(" | ")])
            found.append(rows)
    return found
