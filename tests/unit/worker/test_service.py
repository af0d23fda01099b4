"""The options of a service, and the errors that name a wrong one."""

from __future__ import annotations

import types
from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from generated.report import Report
from generated.shared import SharedService
from rpc.cli.queue_detour import Names
from rpc.cli.queue_replacement import replacements
from rpc.cli.service_queues import lock_of
from rpc.errors import ConfigurationError
from rpc.worker.service import LONGEST_QUEUE, ThriftService


class Handler:
    """A handler of SharedService."""

    def getStruct(self, key: int) -> None: ...


class ServiceTests(SynchronousTestCase):
    """ThriftService."""

    def refusal(self, *arguments: Any, **options: Any) -> str:
        """Return the error of a service that cannot be made."""
        return str(self.assertRaises(ConfigurationError, ThriftService, *arguments, **options))

    def test_needs_only_a_stub_and_a_handler(self) -> None:
        """A stub and a handler are enough: the name is the IDL's."""
        handler = Handler()
        service = ThriftService(SharedService, handler)
        self.assertEqual((service.name, service.concurrency, service.acknowledge), ("SharedService", 64, "after"))
        self.assertIs(service.make_handler(object()), handler)
        self.assertEqual(service.topology().queue, "rpc.SharedService")

    def test_passes_its_options_to_its_topology(self) -> None:
        """Its options are those of its topology."""
        service = ThriftService(
            SharedService, Handler(), name="n", queue_type="quorum", backlog=3, exchange="e", queue="q"
        )
        topology = service.topology()
        self.assertEqual((topology.service, topology.exchange, topology.queue), ("n", "e", "q"))
        self.assertEqual((topology.queue_type, topology.backlog), ("quorum", 3))
        given: dict[str, Any] = {
            "max_priority": 5,
            "queue_arguments": {"x-queue-mode": "lazy"},
            "consumer_timeout": 2.0,
        }
        topology = ThriftService(SharedService, Handler(), **given).topology()
        self.assertEqual({name: getattr(topology, name) for name in given}, given)
        for name in ("declare_queue", "durable"):
            switched: Any = {name: False}
            self.assertFalse(getattr(ThriftService(SharedService, Handler(), **switched).topology(), name))

    def test_a_quorum_queue_is_durable(self) -> None:
        """RabbitMQ has no other."""
        refusal = self.refusal(SharedService, Handler(), durable=False, queue_type="quorum")
        self.assertIn("durable=False: must be left out with queue_type='quorum'", refusal)

    def test_rejects_options_with_wrong_values(self) -> None:
        """The error has the name, the value, and the allowed values."""
        wrong: dict[str, list[Any]] = {
            "acknowledge": ["never", "", None, "AFTER"],
            "queue_type": ["stream", None],
            "concurrency": [0, -1, 1.5, "64", 65536, None, True],
            "backlog": [0, -1, "many", 2**63, True],
            "max_message_size": [0, -5, 1e6, None, True],
            "max_elements": [0, -5, 1e6, None, True],
            "name": ["x" * 121, "é" * 61, "service@instance", 5, "\ud800"],
            "max_priority": [0, 256, 1.5, "5", True],
            "queue_arguments": [None, [("x-queue-mode", 5)], {"x-max-length": 5}, {5: 5}, {"x-queue-mode": object()}],
            "declare_queue": [None, 0, "no"],
            "queue": ["x" * 216, "é" * 108, 5],
            "exchange": ["x" * 256, None],
            "reply_queues": ["amq.gen-", None, 5, [b"x"], ["\n"]],
        }
        for option, values in wrong.items():
            for value in values:
                message = self.refusal(SharedService, Handler(), **{option: value})
                self.assertIn(f"{option}={value!r}", message)
                self.assertIn("must be", message)

    def test_names_the_option_that_stands_for_an_argument(self) -> None:
        """An argument is given in one way only."""
        for argument, option in (
            ("x-queue-type", "queue_type"),
            ("x-max-length", "backlog"),
            ("x-max-priority", "max_priority"),
            ("x-consumer-timeout", "consumer_timeout"),
        ):
            message = self.refusal(SharedService, Handler(), queue_arguments={argument: 5})
            self.assertIn(f"must be without {argument}: give {option}= instead", message)

    def test_rejects_options_of_queues_that_do_not_go_together(self) -> None:
        """RabbitMQ has priorities for classic queues. A queue that is not declared gets no arguments."""
        message = self.refusal(SharedService, Handler(), max_priority=5, queue_type="quorum")
        self.assertIn("max_priority=5: must be left out with queue_type='quorum'", message)
        for option in ({"max_priority": 5}, {"queue_arguments": {"x-queue-mode": "lazy"}}):
            message = self.refusal(SharedService, Handler(), declare_queue=False, **option)
            self.assertIn("declare_queue=False: must be left out", message)

    def test_rejects_arguments_by_which_the_broker_loses_requests(self) -> None:
        """A oneway call ends when the broker has confirmed it: then it is run, kept, or a dead letter."""
        for argument, value in (
            ("x-overflow", "drop-head"),
            ("x-overflow", "other"),
            ("x-overflow", ["reject-publish"]),
            ("x-message-ttl", 60000),
            ("x-expires", 60000),
        ):
            message = self.refusal(SharedService, Handler(), queue_arguments={argument: value})
            self.assertIn(f"must be without {argument}={value!r}: the broker would lose requests", message)
        for value in ("reject-publish", "reject-publish-dlx"):
            ThriftService(SharedService, Handler(), queue_arguments={"x-overflow": value})

    def test_takes_the_longest_name_of_a_queue(self) -> None:
        """All names that are made of it are short strings (AMQP 0-9-1, section 4.2.5.3)."""
        topology = ThriftService(SharedService, Handler(), queue="x" * LONGEST_QUEUE).topology()
        for replacement in replacements(topology):
            names = Names(replacement.queue)
            for name in (names.store, names.alternate, names.trial, lock_of(names.store)):
                self.assertLessEqual(len(name), 255, name[LONGEST_QUEUE:])

    def test_rejects_a_module_that_is_no_stub(self) -> None:
        """A module that is no stub is refused by its name."""
        self.assertIn("'types' is not a service stub", self.refusal(types, Handler()))

    def test_rejects_a_handler_with_a_factory(self) -> None:
        """Exactly one of both is needed."""
        self.assertIn("handler or a factory", self.refusal(SharedService))
        self.assertIn("handler or a factory", self.refusal(SharedService, Handler(), factory=lambda _: Handler()))

    def test_rejects_a_handler_that_lacks_a_method(self) -> None:
        """A handler that lacks a method, or takes other arguments, is refused with the method's signature."""

        class Other:
            def getStruct(self) -> None: ...

        for handler in (object(), Other()):
            message = self.refusal(SharedService, handler)
            self.assertIn("getStruct(key)", message)
            self.assertIn(type(handler).__name__, message)
        self.assertIn("summarize(prefix, limit)", self.refusal(Report, Handler()))

    def test_rejects_a_handler_that_is_a_class(self) -> None:
        """A class has all methods and is no handler; so it is with a factory that makes one."""
        self.assertIn("Handler is a class; pass an instance: Handler()", self.refusal(SharedService, Handler))
        service = ThriftService(SharedService, factory=lambda _: Handler)
        self.assertIn("is a class", str(self.assertRaises(ConfigurationError, service.make_handler, None)))

    def test_explains_a_factory_that_waits(self) -> None:
        """Its coroutine or Deferred is no handler."""

        async def coroutine(_: object) -> Handler:
            return Handler()

        for factory, kind in ((coroutine, "coroutine"), (lambda _: succeed(Handler()), "Deferred")):
            service = ThriftService(SharedService, factory=factory, name="Shared")
            error = self.assertRaises(ConfigurationError, service.make_handler, None)
            self.assertEqual(
                str(error), f"service Shared: its factory returned a {kind}: it must return the handler at once"
            )

    def test_explains_a_factory_that_fails(self) -> None:
        """The text has the name of the service and the error, which is its cause."""
        service = ThriftService(SharedService, factory=lambda _: 1 / 0, name="Shared")
        error = self.assertRaises(ConfigurationError, service.make_handler, None)
        self.assertEqual(str(error), "service Shared: its factory failed: ZeroDivisionError: division by zero")
        self.assertIsInstance(error.__cause__, ZeroDivisionError)

    def test_calls_the_factory_with_the_connection_of_the_worker(self) -> None:
        """Its handler is checked when it is made."""
        made: list[Any] = []

        def factory(connection: Any) -> Handler:
            made.append(connection)
            return Handler()

        service = ThriftService(SharedService, factory=factory)
        self.assertEqual(made, [])
        self.assertIsInstance(service.make_handler("connection"), Handler)
        self.assertEqual(made, ["connection"])
        empty = ThriftService(SharedService, factory=lambda _: object())
        self.assertIn("getStruct(key)", str(self.assertRaises(ConfigurationError, empty.make_handler, None)))
