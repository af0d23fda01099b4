"""The dashboard without a browser: its command line, its events, and clients that do not read."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

import rpc
from generated.calculator import Calculator
from rpc.dashboard.viewer import LONGEST_PAUSE, State
from tests.integration.dashboard_case import ROOT, DashboardCase
from tests.processes import ServeProcess
from tests.unit.dashboard.readings import counts, reading, service, worker
from tests.unit.dashboard.site import Browser

reactor: Any = global_reactor

LOOKS = 30
"""Events at most until the expected one: they come once a second."""

TOKEN = "a token of more than 16"


def events(url: str, *headers: tuple[str, str]) -> Generator[tuple[str, Any], None, None]:
    """Yield the events of a stream, until the caller closes it."""
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310  # a URL of the test
    with urllib.request.urlopen(request, timeout=30) as stream:  # noqa: S310
        name = ""
        for line in stream:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


class EventsTests(DashboardCase):
    """Events of a dashboard on a broker."""

    def setUp(self) -> None:
        self.name = self.unique("Adder")
        self.host = self.virtual_host()

    def until(self, address: str, path: str, look: Callable[[str, Any], Any]) -> Any:
        """Return the first result of `look` on an event."""
        with closing(events(f"{address}{path}")) as stream:
            for (name, data), _ in zip(stream, range(LOOKS), strict=False):
                found = look(name, data)
                if found:
                    return found
        raise AssertionError(f"not within {LOOKS} events")

    def row(self, address: str, good: Callable[[Any], bool]) -> Any:
        """Return the service's row, as soon as it is good."""

        def look(_: str, data: Any) -> Any:
            row = data.get("services", {}).get(self.name)
            return row if row and good(row) else None

        return self.until(address, "events", look)

    def problem(self, address: str, text: str) -> str:
        """Return the first problem with the text. Another one may be told before, when a worker is late."""

        def look(_: str, data: Any) -> Any:
            return next((problem for problem in data.get("problems") or () if text in problem), None)

        return str(self.until(address, "events", look))

    def test_figures_of_two_workers(self) -> None:
        """Their calls are added up."""
        for _ in range(2):
            self.fleet(self.name, url=self.host)
        address = self.address(self.dashboard(url=self.host))
        row = self.row(address, lambda row: row["workers"] == 2 and row["figures"]["errors"] > 0 and row["dead"] == 0)
        self.assertGreater(row["figures"]["rate"], row["figures"]["errors"])
        self.assertEqual((row["states"], row["concurrency"]), ({"CONSUMING": 2}, 128))
        detail = self.until(
            address,
            f"events?service={self.name}",
            lambda name, data: name == "service" and "point" in data and data,
        )
        self.assertEqual([method["name"] for method in detail["methods"]], ["add", "blob"])
        self.assertGreater(detail["methods"][1]["errors"]["LookupError"], 0)
        workers: dict[str, Any] = {}

        def both_alive(_: str, data: Any) -> bool:
            workers.update(data.get("workers", {}))
            return [each["state"] for each in workers.values() if each] == ["ALIVE"] * 2

        self.until(address, "events", both_alive)

    def test_before_any_worker(self) -> None:
        """The virtual host has no exchange yet. The page says so, and goes on."""
        address = self.address(self.dashboard(url=self.host))
        self.problem(address, "no worker has ever served there")
        self.fleet(self.name, url=self.host)
        self.row(address, lambda row: row["workers"] == 1)

    def test_says_that_a_worker_runs_and_none_answers(self) -> None:
        """Its rows disappear after a while. The page would look as if no worker ran."""
        fleet = self.fleet(self.name, url=self.host)
        address = self.address(self.dashboard(url=self.host))
        self.row(address, lambda row: row["workers"] == 1)
        fleet.send(signal.SIGSTOP)
        self.addCleanup(fleet.send, signal.SIGCONT)
        self.problem(address, "at least one worker runs, and none answers: ")

    def test_names_its_user_for_workers_that_answer_some_users_only(self) -> None:
        """Without the option, the page names the missing user name."""
        environment = {"PYTHONPATH": str(ROOT), "RPC_BROKER": self.host}
        words = ("--control-allow", "guest", "services.calculator:service")
        worker = self._program(ServeProcess(*words, folder=ROOT, environment=environment))
        worker.wait_for("serving Calculator from")
        refusing = self.address(self.dashboard(url=self.host))
        self.problem(refusing, "names no user (a client's option user_id=True, a command's --user-id)")
        address = self.address(self.dashboard("--user-id", url=self.host))
        self.name = "Calculator"
        self.row(address, lambda row: row["workers"] == 1)

    async def test_requests_that_wait_and_dead_letters(self) -> None:
        """Of a service that no worker serves any more, because the user named it."""
        fleet = self.fleet(self.name, url=self.host)
        fleet.end()
        connection = await rpc.connect(self.host)
        client = connection.client(Calculator, name=self.name)
        for _ in range(3):
            await client.zip()  # oneway: it fires when the broker has it
        await connection.close()
        address = self.address(self.dashboard("--service", self.name, url=self.host))
        row = self.row(address, lambda row: row["waiting"] >= 3 and row["dead"] is not None)
        self.assertEqual((row["workers"], row["dead"]), (0, 0))


class CommandLineTests(DashboardCase):
    """Options, and the end."""

    def fails(self, *options: str) -> str:
        """Run the verb, which must end with status 1 or 2; return its output."""
        program = self.dashboard(*options)
        self.assertIn(program.wait(), (1, 2))
        return program.output()

    def secret(self, text: str) -> str:
        """Write a file; return its path."""
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)

    def test_a_signal_ends_it_with_status_zero(self) -> None:
        """Also while a page is open."""
        program = self.dashboard()
        with closing(events(f"{self.address(program)}events")) as stream:
            next(stream)
            program.end()
            self.assertEqual(program.wait(), 0)
            self.assertLess(len(list(stream)), 10)

    def test_a_port_in_use(self) -> None:
        """Is named, with the option."""
        port = int(self.address(self.dashboard()).rstrip("/").rpartition(":")[2])
        program = self.dashboard(port=port)
        self.assertEqual(program.wait(), 1)
        self.assertIn(
            f"Error: --port: cannot listen on 127.0.0.1 port {port}: Address already in use", program.output()
        )

    def test_an_interface_that_is_none(self) -> None:
        """The same."""
        self.assertIn("--interface: cannot listen on nowhere port 0", self.fails("--interface", "nowhere"))

    def test_tokens_of_the_user(self) -> None:
        """In a file or the environment; never printed."""
        given: list[tuple[tuple[str, ...], Mapping[str, str]]] = [
            (("--token-file", self.secret(f"{TOKEN}\n")), {}),
            ((), {"RPC_DASHBOARD_TOKEN": TOKEN}),
        ]
        for options, environment in given:
            program = self.dashboard(*options, environment=environment)
            address = self.address(program)
            with self.assertRaises(urllib.error.HTTPError) as caught:
                next(events(f"{address}events"))
            caught.exception.close()
            self.assertEqual(caught.exception.code, 401)
            with closing(events(f"{address}events", ("Authorization", f"Bearer {TOKEN}"))) as stream:
                self.assertEqual(next(stream)[0], "full")
            self.assertNotIn(TOKEN, program.output())

    def test_tokens_that_are_none(self) -> None:
        """The message does not quote them."""
        for text, problem in (("short", "must have 16"), ("", "is empty")):
            output = self.fails("--token-file", self.secret(text))
            self.assertIn(problem, output)
            self.assertNotIn("short", output)
        self.assertIn("--token-file=/nowhere: No such file", self.fails("--token-file", "/nowhere"))

    def test_a_token_that_no_browser_could_show(self) -> None:
        """Headers are ASCII. Every look at the page would fail."""
        for token in ("ü" * 20, "\udcff" * 20, f" {TOKEN}", f"{TOKEN}\t{TOKEN}"):
            program = self.dashboard(environment={"RPC_DASHBOARD_TOKEN": token})
            self.assertEqual(program.wait(), 2)
            self.assertIn("the token must be of letters, digits", program.output())
            self.assertNotIn(token.strip(), program.output())

    def test_beyond_loopback_there_is_always_a_token(self) -> None:
        """One that is made is printed once, before the address."""
        program = self.dashboard("--interface", "0.0.0.0")  # noqa: S104  # this test needs it
        address = self.address(program).replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        with self.assertRaises(urllib.error.HTTPError) as caught:
            next(events(f"{address}events"))
        caught.exception.close()
        self.assertIn("write the name or address of this one instead of 0.0.0.0)", program.output())
        token = program.output().split("until it ends: ")[1].split()[0]
        with closing(events(f"{address}events", ("Authorization", f"Bearer {token}"))) as stream:
            self.assertEqual(next(stream)[0], "full")

    def test_the_host_of_another_site_is_refused(self) -> None:
        """Which a browser would let read our page."""
        address = self.address(self.dashboard())
        with self.assertRaises(urllib.error.HTTPError) as caught:
            next(events(f"{address}events", ("Host", "evil.example")))
        caught.exception.close()
        self.assertEqual(caught.exception.code, 403)

    def test_the_broker_refuses_the_login(self) -> None:
        """The page says why, without the password."""
        address = self.address(self.dashboard(url=self.url.replace("guest:guest", "guest:wrong-secret")))
        with closing(events(f"{address}events")) as stream:
            for (_, data), _ in zip(stream, range(LOOKS), strict=False):
                if (data.get("broker") or {}).get("problem", "").startswith("403"):
                    self.assertNotIn("wrong-secret", json.dumps(data))
                    return
        raise AssertionError


class _Reader(Protocol):
    """Reads a stream of events, and counts them."""

    transport: Any

    def __init__(self) -> None:
        self.deltas = 0
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.deltas += data.count(b"event: delta")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True


def has_more(reader: _Reader, seen: int) -> bool:
    """Return whether it has received further events."""
    return reader.deltas > seen


class SlowClientTests(TestCase):
    """A client that never reads, over TCP: the site and its readings are in memory."""

    timeout = 240.0
    SERVICES = 500
    TICKS = 150

    async def test_a_client_that_never_reads_costs_little_and_is_closed(self) -> None:
        """The others get every event meanwhile."""
        browser = Browser()
        port = reactor.listenTCP(0, browser.site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number = port.getHost().port
        request = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        deaf = socket.create_connection(("127.0.0.1", number))
        self.addCleanup(deaf.close)
        deaf.sendall(request)
        await self.when(lambda: len(browser.audience._viewers) == 1)
        (viewer,) = browser.audience._viewers
        transport: Any = viewer._request.channel.transport
        reader = _Reader()
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", number), reader)
        reader.transport.write(request)
        await self.when(lambda: len(browser.audience._viewers) == 2)
        largest, behind_for = 0, 0
        for tick in range(self.TICKS):
            names = [service(f"S{index}", {"add": counts(tick)}, running=tick) for index in range(self.SERVICES)]
            browser.source.next = reading(tick + 10, worker("a", *names))
            seen = reader.deltas
            browser.clock.advance(1)
            await self.when(partial(has_more, reader, seen))
            largest = max(largest, len(transport.dataBuffer) + transport._tempDataLen)
            behind_for += viewer.state is State.BEHIND
            if viewer.state is State.CLOSED:
                break
        self.assertIs(viewer.state, State.CLOSED)
        self.assertGreater(behind_for, LONGEST_PAUSE - 3)
        self.assertLess(largest, 64 * 1024 + 400 * self.SERVICES)  # the transport's own buffer, and one event
        self.assertEqual(len(browser.audience._viewers), 1)
        self.assertFalse(reader.lost)
        reader.transport.loseConnection()
        await self.when(lambda: reader.lost and not browser.audience._viewers)

    async def when(self, condition: Callable[[], bool]) -> None:
        """Wait until it is so; the test's own limit ends the wait."""
        while not condition():
            await deferLater(reactor, 0.005)
