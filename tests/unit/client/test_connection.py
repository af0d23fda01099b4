"""The client's entry point: options, the client object, and a connection that starts, stops and starts again."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
from typing import Any, get_type_hints

import attrs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import rpc
from generated.calculator import Calculator
from generated.shared import SharedService
from rpc.client.connection import SharedConnection
from rpc.client.options import ClientOptions, Options
from rpc.errors import ConfigurationError, ConnectionLost, InvalidURI
from rpc.link import Link
from rpc.stub import Stub
from rpc.uri import parse
from tests.unit.amqp.memory_reactor import BrokerReactor, Socket
from tests.unit.amqp.peer import outcome_of

URL = "amqp://me:secret@192.0.2.1/mine?heartbeat=0"


class AsyncioTests(SynchronousTestCase):
    """rpc.connect in a program on asyncio."""

    def test_connect_names_rpc_aio_where_only_asyncio_runs(self) -> None:
        """Twisted's reactor does not run there, so the connection would never open."""

        async def main() -> None:
            with self.assertRaisesRegex(RuntimeError, "use rpc.aio.connect"):
                await rpc.connect(URL)

        asyncio.run(main())

    def test_connect_takes_a_reactor_that_is_given(self) -> None:
        """It may live on the loop."""

        async def main() -> None:
            connecting = rpc.connect(URL, reactor=BrokerReactor())
            self.assertEqual(outcome_of(connecting), [])
            connecting.cancel()

        asyncio.run(main())


class OptionsTests(SynchronousTestCase):
    """ClientOptions."""

    def test_rejects_wrong_values(self) -> None:
        """The error names the option, its value and the values allowed."""
        wrong: dict[str, list[Any]] = {
            "timeout": [0, -1, float("nan"), float("inf"), "5", True, 10**400],
            "protocol": ["xml", "", None, [], "Binary"],
            "priority": [-1, 256, 1.5, "1", True],
            "headers": [5, ["a"], "text", {1: "a"}, {"a": object()}, {"x" * 256: 1}, {"a": [1] * 500}],
            "name": ["x" * 256, "é" * 128, 5, b"name", "\ud800"],
            "exchange": ["x" * 256, None, 5],
            "reply_exchange": ["x" * 256, "", 5],
            "max_message_size": [None, 0, -1, 1.5, "5", True],
            "max_elements": [None, 0, -1, 1.5, "5", True],
        }
        for option, values in wrong.items():
            for value in values:
                error = self.assertRaises(ConfigurationError, ClientOptions, **{option: value})
                self.assertIn(f"{option}={value!r}: must be ", str(error))

    def test_takes_right_values_at_the_edges(self) -> None:
        right: dict[str, list[Any]] = {
            "timeout": [None, 0.001, 5, 1e9],
            "protocol": ["binary", "compact", "json"],
            "priority": [None, 0, 255],
            "headers": [None, {}, {"a": {"b": [1, None, b"c"]}}, {"a": [1] * 499}],
            "name": [None, "x" * 255, "S@instance"],
            "exchange": ["", "rpc.broadcast"],
            "reply_exchange": [None, "responses"],
            "max_message_size": [1, 2**40],
            "max_elements": [1, 2**40],
        }
        for option, values in right.items():
            for value in values:
                self.assertEqual(getattr(ClientOptions(**{option: value}), option), value)

    def test_copies_the_headers(self) -> None:
        """Later changes of the caller's mapping change no client."""
        headers = {"a": 1}
        options = ClientOptions(headers=headers)
        headers["b"] = object()  # type: ignore[assignment]  # no option would take it
        self.assertEqual(options.headers, {"a": 1})

    def test_an_unknown_option_is_told_with_the_known_ones(self) -> None:
        connection = rpc.Connection(URL, reactor=BrokerReactor())
        client: Any = connection.client(Calculator)
        mistyped: Any = {"timeot": 5}
        for change in (lambda: connection.client(Calculator, **mistyped), lambda: rpc.with_options(client, **mistyped)):
            message = str(self.assertRaises(TypeError, change))
            self.assertIn("unknown option 'timeot'", message)
            for field in attrs.fields(ClientOptions):
                self.assertIn(field.name, message)

    def test_type_checkers_know_all_options(self) -> None:
        self.assertEqual({*get_type_hints(Options)}, {field.name for field in attrs.fields(ClientOptions)})


class ClientTests(SynchronousTestCase):
    """A client as connection.client returns it."""

    def setUp(self) -> None:
        self.connection = rpc.Connection(URL, reactor=BrokerReactor())
        self.client: Any = self.connection.client(Calculator, name="Sums", timeout=5.0)

    def test_methods_have_name_signature_and_documentation(self) -> None:
        add = self.client.add
        self.assertEqual(add.__name__, "add")
        self.assertEqual(str(inspect.signature(add)), "(num1, num2)")
        self.assertEqual(repr(add), "<Sums.add(num1, num2)>")
        shown = pydoc.plain(pydoc.render_doc(add))
        self.assertIn("Add two numbers.", shown)
        self.assertIn("add(num1, num2)", shown)  # Python 3.14 leaves out "Sums."
        self.assertTrue(verifyObject(Calculator.Iface, self.client))

    def test_a_method_is_listed_before_it_is_used(self) -> None:
        self.assertIn("blob", dir(self.client))
        self.assertNotIn("blob", vars(self.client))
        self.assertIs(self.client.blob, self.client.blob)

    def test_the_stub_is_read_once(self) -> None:
        self.assertIs(Stub.of(Calculator), Stub.of(Calculator))

    def test_a_method_without_a_comment_in_the_idl_has_a_docstring(self) -> None:
        """It is not that of a partial."""
        described = self.connection.client(SharedService)
        self.assertTrue(described.getStruct.__doc__)
        self.assertNotIn("partial", described.getStruct.__doc__)

    def test_rejects_a_mistyped_attribute(self) -> None:
        """A method may be replaced, as tests do."""
        with self.assertRaisesRegex(AttributeError, "<client of Sums> has no method 'ad'; it has add, "):
            self.client.ad  # noqa: B018  # the test reads it
        with self.assertRaises(AttributeError) as refused:
            self.client.timeout = 5
        self.assertIn("<client of Sums> has no attribute 'timeout'", str(refused.exception))
        self.client.add = len
        self.assertIs(self.client.add, len)

    def test_with_options_changes_the_given_options_alone(self) -> None:
        other = rpc.with_options(self.client, protocol="json")
        self.assertEqual((other._options.protocol, other._options.timeout), ("json", 5.0))
        self.assertEqual((self.client._options.protocol, repr(other)), ("binary", "<client of Sums>"))
        self.assertRaises(ConfigurationError, rpc.with_options, self.client, timeout=0)

    def test_with_options_takes_clients_alone(self) -> None:
        for wrong in (None, Calculator, self.client.add):
            self.assertIn("is no client; give one", str(self.assertRaises(TypeError, rpc.with_options, wrong)))


class ConnectionTests(SynchronousTestCase):
    """Connection."""

    def setUp(self) -> None:
        self.reactor = BrokerReactor()
        self.connection = rpc.Connection(URL, reactor=self.reactor)

    def start(self) -> Socket:
        """Start it, and let the broker agree."""
        self.connection.startService()
        socket = self.reactor.socket().log_in()
        socket.serve()
        return socket

    def stop(self, socket: Socket) -> None:
        """Stop it, with the broker's consent."""
        stopped = outcome_of(self.connection.stopService())
        socket.serve()
        socket.lose()
        self.reactor.advance(0)
        self.assertEqual((stopped, self.reactor.timers()), ([None], []))

    def test_repr_shows_the_broker_and_no_password(self) -> None:
        self.assertEqual(repr(self.connection), "<connection to amqp://me:***@192.0.2.1:5672/mine>")

    def test_rejects_a_url_that_is_no_text(self) -> None:
        """The error tells its type, for its content may be a password."""
        for wrong, kind in ((None, "NoneType"), (b"amqp://u:secret@h", "bytes"), (5, "int")):
            for make in (rpc.connect, rpc.Connection):
                message = str(self.assertRaises(InvalidURI, make, wrong, reactor=self.reactor))
                self.assertIn(f"amqp://user:password@host:5672/vhost, not {kind}", message)
                self.assertNotIn("secret", message)

    def test_gathers_replies_of_the_largest_size_that_a_client_allows(self) -> None:
        """Also of a client that :func:`rpc.with_options` makes."""
        connection = rpc.Connection(URL, reactor=BrokerReactor())
        for size, gathered in ((1000, 2**24), (2**25, 2**25)):
            client = connection.client(Calculator, max_message_size=size)
            self.assertEqual(connection._link.max_content, gathered)
        rpc.with_options(client, max_message_size=2**26)
        self.assertEqual(connection._link.max_content, 2**26)

    def test_a_call_waits_for_the_start(self) -> None:
        call = outcome_of(self.connection.client(Calculator).ping())
        socket = self.start()
        self.assertEqual(call, [])
        self.stop(socket)

    def test_can_be_started_again(self) -> None:
        """After a stop no call is taken until the next start."""
        client = self.connection.client(Calculator)
        for _ in range(3):
            socket = self.start()
            sent = outcome_of(client.ping())
            self.assertIn("basic.publish", [frame.name for frame in socket.written()])
            self.stop(socket)
            self.assertIsInstance(sent[0], ConnectionLost)
            self.assertIn("closed", str(self.failureResultOf(client.ping(), ConnectionLost).value))

    def test_functions_at_the_end_of_a_pass(self) -> None:
        """At once without a connection, and in the next turn when nothing is being read."""
        called: list[str] = []
        self.connection.at_end_of_pass(lambda: called.append("unconnected"))
        self.assertEqual(called, ["unconnected"])
        socket = self.start()
        self.connection.at_end_of_pass(lambda: called.append("idle"))
        self.assertEqual(called, ["unconnected"])
        self.reactor.advance(0)
        self.assertEqual(called, ["unconnected", "idle"])
        self.stop(socket)

    def test_a_second_start_changes_nothing(self) -> None:
        socket = self.start()
        self.connection.startService()
        self.assertEqual(socket.written(), [])
        self.stop(socket)

    def test_a_call_made_while_the_connection_dies_waits_for_the_next(self) -> None:
        """The channels of a connection are told of its end one after the other."""
        first = self.connection.client(Calculator, idempotent=[])
        second = self.connection.client(Calculator, exchange="other", idempotent=[])
        for dying, surviving in ((first, second), (second, first)):
            socket = self.start()
            called: list[list[Any]] = []

            def call(_: object, client: Any = surviving, called: list[list[Any]] = called) -> None:
                called.append(outcome_of(client.ping()))

            dying.ping().addErrback(call)
            socket.written()
            socket.lose()
            self.assertEqual(called, [[]])
            self.assertEqual(socket.written(), [])
            self.reactor.advance(2.0)
            socket = self.reactor.socket().log_in()
            socket.serve()
            self.assertEqual(called, [[]])
            self.stop(socket)
            self.assertIsInstance(called[0][0], ConnectionLost)

    def test_a_start_within_a_stop_counts(self) -> None:
        """The errback of a call that the stop has settled may start the connection again."""
        socket = self.start()
        client = self.connection.client(Calculator)
        self.connection.client(Calculator, exchange="other")
        client.ping().addErrback(lambda _: self.connection.startService())
        stopped = outcome_of(self.connection.stopService())
        self.assertTrue(self.connection.running)
        again = outcome_of(client.ping())
        socket.serve()
        socket.lose()
        self.reactor.advance(0)
        self.assertEqual((stopped, again), ([None], []))
        socket = self.reactor.socket().log_in()
        self.assertIn("basic.publish", socket.serve())
        self.stop(socket)

    def test_a_start_directly_after_a_stop_connects_anew(self) -> None:
        socket = self.start()
        client = self.connection.client(Calculator)
        stopped = outcome_of(self.connection.stopService())
        self.connection.startService()
        call = outcome_of(client.ping())
        socket.serve()
        socket.lose()
        self.reactor.advance(0)
        self.assertEqual((stopped, call), ([None], []))
        socket = self.reactor.socket().log_in()
        self.assertIn("basic.publish", socket.serve())
        self.stop(socket)
        self.assertIsInstance(call[0], ConnectionLost)

    def test_a_start_and_a_stop_within_a_stop_end_stopped(self) -> None:
        socket = self.start()
        client = self.connection.client(Calculator)
        inner: list[Any] = []

        def restart(_: object) -> None:
            self.connection.startService()
            inner.append(outcome_of(self.connection.stopService()))

        client.ping().addErrback(restart)
        self.stop(socket)
        self.assertEqual(inner, [[None]])
        self.assertFalse(self.connection.running)
        self.failureResultOf(client.ping(), ConnectionLost)

    def test_each_stop_fires_when_the_connection_is_gone(self) -> None:
        socket = self.start()
        first = outcome_of(self.connection.stopService())
        self.stop(socket)
        self.assertEqual(first, [None])

    def test_a_stop_before_the_first_start_settles_the_calls(self) -> None:
        call = outcome_of(self.connection.client(Calculator).ping())
        stopped = outcome_of(self.connection.stopService())
        self.reactor.advance(0)
        self.assertEqual(stopped, [None])
        self.assertIsInstance(call[0], ConnectionLost)

    def test_a_client_made_within_a_stop_takes_calls_after_the_next_start(self) -> None:
        socket = self.start()
        made: list[Any] = []
        call = self.connection.client(Calculator).ping()
        call.addErrback(lambda _: made.append(self.connection.client(Calculator, exchange="late")))
        self.stop(socket)
        self.failureResultOf(made[0].ping(), ConnectionLost)
        socket = self.start()
        self.assertEqual(outcome_of(made[0].ping()), [])
        self.assertIn("basic.publish", [frame.name for frame in socket.written()])
        self.stop(socket)

    def test_a_shared_link_is_left_to_its_owner(self) -> None:
        """The connection takes a channel of the link while it runs."""
        link = Link(self.reactor, parse(URL), "worker")
        link.startService()
        socket = self.reactor.socket().log_in()
        self.connection = SharedConnection(link, self.reactor, lambda operation: operation.service)
        self.assertNotIn("channel.open", socket.serve())
        client = self.connection.client(Calculator)
        for _ in range(2):
            self.connection.startService()
            self.assertIn("channel.open", socket.serve())
            outcome_of(client.ping())
            self.assertIn("basic.publish", [frame.name for frame in socket.written()])
            stopped = outcome_of(self.connection.stopService())
            cancellation = ["basic.publish", "", ""]  # with its header and its body
            self.assertEqual(socket.serve(), [*cancellation, "channel.close"])
            self.assertEqual(stopped, [None])
        self.assertTrue(link.running)
        link.stopService()
