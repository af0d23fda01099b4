"""The users that may call: the option ``allow``, and the users that requests name."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from generated.calculator import Calculator as CalculatorStub
from rpc.amqp.delegate import Credentials
from rpc.errors import ChannelClosed, ConfigurationError
from rpc.worker.call import WorkerCall
from rpc.worker.dispatcher import DENIALS
from rpc.worker.rejector import RETRY_SECONDS
from rpc.worker.service import ThriftService
from tests.unit.logs import log_lines
from tests.unit.wire import Published
from tests.unit.worker.again_case import QUARANTINE_QUEUE, AgainTestCase
from tests.unit.worker.served import SHARED
from tests.unit.worker.test_server import Handler


class AccessTestCase(AgainTestCase):
    """A service with rules. The worker's own user is ``guest``."""

    def headers(self, published: Published) -> dict[str, Any]:
        """The headers of a message."""
        return dict(published.properties.headers or {})

    def is_allowed(self, name: str = "add", **given: Any) -> bool:
        """Whether a request reaches its handler. If not, its caller is denied."""
        self.handler.ran.clear()
        self.request(name, **given)
        published = self.reply()
        if not self.headers(published):
            return True
        self.assertEqual(self.handler.ran, [])
        self.assertEqual(self.headers(published), {"rpc-outcome": "access-denied"})
        self.assertIn("Calculator." + name, str(self.exception(published).message))
        return False

    def allowed(self, allow: Any, *users: str | None, name: str = "add") -> list[str | None]:
        """Return which of these users may call."""
        self.serve(allow=allow)
        return [user for user in users if self.is_allowed(name, user_id=user)]


class RuleTests(AccessTestCase):
    """Rules, and the users that they allow."""

    def test_everybody_may_call_without_rules(self) -> None:
        """Also with ``True``."""
        for allow in (None, True, {"*": True}):
            self.assertEqual(self.allowed(allow, "ada", None), ["ada", None])

    def test_allows_users_by_name_and_pattern(self) -> None:
        """The whole name counts, and its case. A request without a user is denied."""
        users = ("ada", "Ada", "ada2", "billing-1", "", None)
        self.assertEqual(self.allowed("ada", *users), ["ada"])
        self.assertEqual(self.allowed("billing-*", *users), ["billing-1"])
        self.assertEqual(self.allowed(["ada", "b*"], *users), ["ada", "billing-1"])
        self.assertEqual(self.allowed("*", *users), ["ada", "Ada", "ada2", "billing-1", ""])
        self.assertEqual(self.allowed([], *users), [])

    def test_allows_by_method(self) -> None:
        """No user may call a method without a rule."""
        rules = {"add": "ada", "blob": True}
        self.assertEqual(self.allowed(rules, "ada", "bob", None), ["ada"])
        self.assertEqual(self.allowed(rules, "ada", None, name="ping"), [])
        self.serve(allow=rules)
        self.request("blob")
        self.assertEqual(self.headers(self.reply()), {})
        self.assertEqual(self.allowed({"*": "ada", "add": "bob"}, "ada", "bob"), ["bob"])
        self.assertEqual(self.allowed({"*": "ada", "add": "bob"}, "ada", "bob", name="ping"), ["ada"])

    def test_asks_a_function(self) -> None:
        """Its answer may come later. Nothing but ``True`` allows, and it is not asked about a request without user."""
        asked: list[WorkerCall] = []

        def answer(value: Any) -> Any:
            def rule(call: WorkerCall) -> Any:
                asked.append(call)
                return value

            return rule

        async def says(value: object) -> object:
            return value

        self.assertEqual(self.allowed(answer(True), "ada", None), ["ada"])
        self.assertEqual([(call.user_id, call.method) for call in asked], [("ada", "add")])
        self.assertEqual(self.allowed(lambda call: succeed(True), "ada"), ["ada"])
        self.assertEqual(self.allowed(lambda call: says(True), "ada"), ["ada"])
        for no in (False, None, 1, "yes", succeed(False), succeed("yes")):
            self.assertEqual(self.allowed(answer(no), "ada"), [])
        self.assertEqual(self.allowed(lambda call: says(None), "ada"), [])

    def test_waits_for_an_answer(self) -> None:
        """The handler does not begin before it."""
        answers: list[Deferred[bool]] = []

        def rule(call: WorkerCall) -> Deferred[bool]:
            answers.append(Deferred())
            return answers[-1]

        self.serve(allow=rule)
        for answer, ran in ((True, ["add"]), (False, ["add"])):
            self.request("add", user_id="ada")
            self.assertEqual(self.wire.take(), [])
            answers[-1].callback(answer)
            self.assertEqual((self.handler.ran, len(self.wire.take())), (ran, 1))

    def test_a_rule_that_fails_denies(self) -> None:
        """The error is logged, and stays secret."""

        def rule(call: WorkerCall) -> bool:
            raise ValueError("secret")

        self.serve(allow=rule)
        self.request("add", user_id="ada")
        self.assert_internal_error()
        self.assertEqual((self.handler.ran, len(self.flushLoggedErrors(ValueError))), ([], 1))

    def test_a_denied_oneway_becomes_a_dead_letter(self) -> None:
        """Its caller cannot be told. The letter names the sender."""
        self.serve(allow="ada")
        self.request("zip", reply_to=None, user_id="eve")
        self.wire.settle()
        (letter,) = self.wire.take()
        self.assertEqual(letter.exchange, "rpc.dead")
        headers = self.headers(letter)
        self.assertEqual((headers["rpc-caller"], letter.properties.user_id), ("eve", "guest"))
        self.assertIn("not allowed to the user 'eve'", headers["rpc-dead-reason"])

    def test_refuses_wrong_rules(self) -> None:
        """When the service is made."""
        for wrong in (7, "", [""], [1], {"add": 7}, {"add": {"ada": True}}, {"none": "ada"}, False):
            with self.assertRaisesRegex(ConfigurationError, "allow"):
                ThriftService(CalculatorStub, Handler(), allow=wrong)


class AuditTests(AccessTestCase):
    """Each denied call is in the log, and a flood of them does not fill it."""

    def test_writes_a_line_for_each_denied_call(self) -> None:
        """With all that is known of the caller."""
        self.serve(allow="ada")
        lines = log_lines(self)
        self.request("add", user_id="eve", app_id="x\x1b[2J", message_id="m", reply_to="amq.gen-1")
        self.request("add")
        (first, second) = [line for line in lines if "access denied: method" in line]
        for part in ("Calculator", "add", "'eve'", "'m'", "'amq.gen-1'", "not allowed"):
            self.assertIn(part, first)
        self.assertNotIn("\x1b", first)
        self.assertIn("user unknown", second)

    def test_writes_a_bounded_number_of_lines(self) -> None:
        """The last one says how many were left out, after a second."""
        self.serve(allow="ada")
        lines = log_lines(self)
        for _ in range(100):
            self.request("add", user_id="e" * 255)
        written = [line for line in lines if "access denied: method" in line]
        self.assertEqual(len(written), DENIALS)
        self.assertLess(max(map(len, written)), 500)
        self.wire.clock.advance(1)
        last = [line for line in lines if "access denied: method" in line][DENIALS:]
        self.assertEqual(len(last), 1)
        self.assertIn(f"({100 - DENIALS - 1} more within 1 s", last[0])

    def test_tells_the_rest_when_the_worker_stops(self) -> None:
        """And leaves no timer."""
        self.serve(allow="ada")
        lines = log_lines(self)
        for _ in range(100):
            self.request("add", user_id="eve")
        self.worker.dispatcher.stop()
        self.assertIn(f"({100 - DENIALS - 1} more within 1 s", lines[-1])
        self.worker.server.watch.stop()
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])


class CopyTests(AccessTestCase):
    """Copies of requests keep the users that have sent them; no peer can borrow a name."""

    def test_a_copy_names_its_sender(self) -> None:
        """The worker publishes it with its own user id, which the broker accepts, and believes it."""
        self.serve(allow="ada")
        for number, queue in ((0, "rpc.Calculator"), (1, QUARANTINE_QUEUE)):
            headers = {"rpc-deliveries": number} if number else {}
            self.request("add", again=True, user_id="ada", message_id=f"m{number}", headers=headers)
            self.wire.settle()
            (copy,) = self.wire.take()
            self.assertEqual((copy.routing_key, copy.properties.user_id), (queue, "guest"))
            self.assertEqual(self.headers(copy)["rpc-caller"], "ada")
            self.wire.deliver(copy.body, copy.properties, SHARED)
            self.wire.settle()
            self.assertEqual(self.headers(self.reply()), {})
        self.assertEqual(self.handler.ran, ["add", "add"])

    def test_a_copy_of_a_copy_names_the_first_sender(self) -> None:
        """As often as it is copied."""
        self.serve(allow="ada")
        headers = {"rpc-caller": "ada", "rpc-deliveries": 1}
        self.request("add", again=True, message_id="m", user_id="guest", headers=headers)
        self.wire.settle()
        (copy,) = self.wire.take()
        self.assertEqual((copy.properties.user_id, self.headers(copy)["rpc-caller"]), ("guest", "ada"))

    def test_a_stopping_worker_keeps_the_sender(self) -> None:
        """Requests that it gives back are copies as well."""
        self.serve(allow="ada", concurrency=1)
        self.request("calculate", user_id="ada", message_id="a")
        self.request("add", user_id="ada", message_id="b")
        self.worker.dispatcher.stop_accepting()
        self.wire.settle()
        (copy,) = self.wire.take()
        self.assertEqual((copy.properties.user_id, self.headers(copy)["rpc-caller"]), ("guest", "ada"))

    def test_nobody_borrows_a_name(self) -> None:
        """Any peer can write the header: it counts beside the worker's own user id alone."""
        self.serve(allow="ada")
        for user in ("eve", None):
            self.assertFalse(self.is_allowed(user_id=user, headers={"rpc-caller": "ada"}))
        self.request("add", user_id="guest", headers={"rpc-caller": 7})
        self.assertEqual(self.headers(self.reply()), {"rpc-outcome": "access-denied"})

    def test_a_copy_of_a_nameless_request_gets_no_name(self) -> None:
        """Not the worker's, and not the one in a header."""
        self.serve(limits=None, allow=True)
        self.request("add", again=True, message_id="m", headers={"rpc-caller": "ada"})
        self.wire.settle()
        (copy,) = self.wire.take()
        self.assertEqual((copy.properties.user_id, self.headers(copy)), (None, {"rpc-deliveries": 1}))

    def test_does_not_publish_a_name_that_may_be_wrong(self) -> None:
        """With ``auth_mechanism=external`` the name is in the certificate. A wrong one closes the channel (406)."""
        self.serve(allow="ada")
        self.wire.peer.connection.credentials = Credentials(mechanism="EXTERNAL")
        self.request("add", again=True, user_id="ada", message_id="m")
        self.wire.settle()
        (copy,) = self.wire.take()
        self.assertEqual((copy.properties.user_id, self.headers(copy)), (None, {"rpc-deliveries": 1}))

    def test_publishes_no_name_after_the_broker_has_refused_it_once(self) -> None:
        """Neither with copies, old or new, nor with dead letters: each refusal would cost all services the channel."""
        self.serve(allow="ada")
        republisher = self.worker.republisher
        self.wire.refuses_beside = True
        self.request("add", again=True, user_id="ada", message_id="retried")
        self.wire.settle()
        self.assertEqual({each.properties.user_id for each in self.wire.take()}, {"guest"})
        self.wire.refuses_beside = False
        text = "PRECONDITION_FAILED - user_id property set to 'guest' but authenticated user was 'worker'"
        republisher.lost(ChannelClosed(406, text))
        self.wire.open_beside(republisher)
        self.wire.clock.advance(RETRY_SECONDS)
        self.request("add", again=True, user_id="ada", message_id="new")
        self.request("zip", reply_to=None, user_id="eve")
        self.wire.settle()
        published = [(each.exchange, each.properties.user_id) for each in self.wire.take()]
        self.assertEqual(sorted(published), [("", None), ("", None), ("rpc.dead", None)])
