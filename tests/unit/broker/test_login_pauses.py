"""Guesses of passwords: how many are checked, and how they affect other users."""

from __future__ import annotations

from rpc.amqp.codec.frames import PROTOCOL_HEADER
from rpc.broker.login_pauses import (
    FIRST_PAUSE,
    FREE,
    LONGEST_PAUSE,
    MOST_COUNTS,
    MOST_PAUSED,
    NAMES,
    REMEMBERED,
    Failures,
    LoginPauses,
)
from tests.unit.broker.hostile_case import HostileCase
from tests.unit.broker.peer import Client, start_ok
from tests.unit.broker.ticking import TickingClock

HOST = "192.0.2.1"


def other_group(user: str) -> str:
    """A name that is not counted together with `user`."""
    return next(name for name in map("user{}".format, range(1000)) if hash(name) % NAMES != hash(user) % NAMES)


class PauseTests(HostileCase):
    """Logins at a broker with the users ada and another one, whose failures are not counted together."""

    def setUp(self) -> None:
        super().setUp()
        self.other = other_group("ada")
        for name in ("ada", self.other):
            self.broker.add_user(name, "right")
        self.checked: list[str] = []
        check = self.broker.login_problem

        def note(user: str, password: str, host: str) -> str | None:
            self.checked.append(password)
            return check(user, password, host)

        self.patch(self.broker, "login_problem", note)

    def try_login(self, password: str, user: str = "ada", host: str = HOST) -> Client:
        client = Client(self.broker, host)
        client.feed(PROTOCOL_HEADER, start_ok(user, password))
        return client

    def fail_logins(self, times: int) -> None:
        """Let logins fail one after another, after their pauses."""
        for _ in range(times):
            client = self.try_login("wrong")
            self.clock.advance(LONGEST_PAUSE)
            client.lose()
        self.checked.clear()

    def test_guesses_are_checked_slowly(self) -> None:
        """However many connections guess, and also when each leaves as soon as it is not answered at once."""
        for waits in (True, False):
            self.fail_logins(20)
            self.clock.advance(REMEMBERED / 100)
            for _ in range(100):
                clients = [self.try_login(f"guess {number}") for number in range(10)]
                self.clock.advance(0.1)
                if not waits:
                    for client in clients:
                        client.lose()
            self.assertLessEqual(len(self.checked), MOST_PAUSED * (10 / LONGEST_PAUSE + 1))
            self.clock.advance(100)

    def test_pauses_double_up_to_the_longest(self) -> None:
        failures = Failures()
        seen = []
        for _ in range(FREE + 7):
            seen.append(failures.next_pause(0.0))
            failures.add(0.0)
        expected = [min(LONGEST_PAUSE, FIRST_PAUSE * 2**number) for number in range(7)]
        self.assertEqual(seen, [0.0] * FREE + expected)

    def test_a_failure_after_a_while_is_the_first_one_again(self) -> None:
        """All earlier ones are forgotten together."""
        failures = Failures()
        seen = []
        for now in (0.0, REMEMBERED, 2 * REMEMBERED, 3 * REMEMBERED + 1):
            failures.add(now)
            seen.append((failures.remembered(now), failures.next_pause(now)))
        self.assertEqual(seen, [(1, 0.0), (2, 0.0), (3, FIRST_PAUSE), (1, 0.0)])

    def test_a_right_password_is_taken_after_the_pause(self) -> None:
        """And ends the pauses."""
        self.fail_logins(10)
        client = self.try_login("right")
        self.assertEqual(client.names(), ["connection.start"])
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual(client.names(), ["connection.tune"])
        self.assertEqual(self.try_login("right").names()[-1], "connection.tune")

    def test_other_users_and_other_addresses_do_not_wait(self) -> None:
        self.fail_logins(10)
        for _ in range(50):
            self.try_login("wrong")
        self.assertEqual(self.try_login("right", self.other).names()[-1], "connection.tune")
        self.assertEqual(self.try_login("right", host="192.0.2.2").names()[-1], "connection.tune")
        self.assertEqual(self.try_login("right").names()[-1], "connection.close")
        self.assert_unharmed()

    def test_a_login_that_is_not_checked_is_answered_as_a_wrong_one(self) -> None:
        """The answer tells nothing about the password."""
        first = self.try_login("wrong")
        answers = [first.written()[-1].args]
        self.fail_logins(10)
        paused = [first] + [self.try_login("wrong") for _ in range(MOST_PAUSED)]
        paused += [self.try_login(password) for password in ("right", "wrong")]
        answers += [client.written()[-1].args for client in paused[-2:]]
        self.assertEqual({answer[:2] for answer in answers}, {answers[0][:2]})
        self.assertEqual(answers[0][0], 403)
        self.assertEqual(self.checked, [])
        self.assert_nothing_left(*paused)

    def test_an_unknown_user_waits_as_a_known_one(self) -> None:
        """Or the pause would tell which users exist."""
        for user, host in (("ada", "192.0.2.9"), ("nobody", "192.0.2.8")):
            for _ in range(FREE):
                self.assertEqual(self.try_login("wrong", user, host).names()[-1], "connection.close")
            self.assertEqual(self.try_login("wrong", user, host).names(), ["connection.start"])

    def test_a_lost_connection_ends_its_pause(self) -> None:
        self.fail_logins(10)
        client = self.try_login("right")
        self.assert_nothing_left(client)
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual(self.checked, [])

    def test_nothing_may_be_sent_during_the_pause(self) -> None:
        """503, as for any method at the wrong time."""
        self.fail_logins(10)
        client = self.try_login("wrong")
        client.written()
        client.feed(start_ok("ada", "right"))
        (answer,) = client.written()
        self.assertEqual((answer.name, answer.args[0]), ("connection.close", 503))
        self.assert_nothing_left(client)

    def test_failures_are_forgotten_after_a_while(self) -> None:
        self.fail_logins(10)
        self.clock.advance(REMEMBERED + 1)
        self.assertEqual(self.try_login("right").names()[-1], "connection.tune")


class MemoryTests(HostileCase):
    """The cost of invented names and many addresses."""

    def test_the_number_of_counts_is_limited(self) -> None:
        """The latest ones are kept; an address has few, however many names it invents."""
        pauses = LoginPauses(TickingClock())
        for number in range(1000):
            pauses.add_failure(f"user {number}", HOST)
        self.assertLessEqual(len(pauses._failures), NAMES)
        for number in range(2 * MOST_COUNTS):
            pauses.add_failure("ada", f"host {number}")
        self.assertEqual(len(pauses._failures), MOST_COUNTS)
        self.assertEqual(pauses.failures_of("ada", f"host {2 * MOST_COUNTS - 1}").remembered(0.0), 1)

    def test_only_known_capabilities_are_kept(self) -> None:
        """A client can name thousands, before its login."""
        named = {f"capability {number}": True for number in range(100)} | {"connection.blocked": True}
        client = Client(self.broker)
        client.feed(PROTOCOL_HEADER, start_ok("guest", "wrong", named))
        self.assertEqual(client.protocol.capabilities, {"connection.blocked": True})
