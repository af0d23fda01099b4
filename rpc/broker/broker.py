"""The broker: its users, virtual hosts and connections, and the passes in which it works.

All work is done in passes. Bytes arrive, a timer fires, or a transport is empty again: each begins a pass. Before it
ends, dead letters are published, publishes are confirmed, and the output of each connection is sent in a single write.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from rpc import log
from rpc.broker.compatibility import RABBITMQ_4, Compatibility
from rpc.broker.connection import BrokerConnection
from rpc.broker.limits import DEAD_LETTERS_PER_PASS, Limits
from rpc.broker.login_pauses import WRONG_LOGIN, LoginPauses
from rpc.broker.memory import Memory
from rpc.broker.message import Message
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.publishing import Publisher, Target
from rpc.broker.timer import Timer
from rpc.broker.vhost import VirtualHost
from rpc.broker.work import SLICE, Work
from rpc.errors import ConfigurationError
from rpc.interfaces import IClock
from rpc.log_limit import LogLimit
from rpc.printable import printable
from rpc.reply_codes import CONNECTION_FORCED

if TYPE_CHECKING:
    from rpc.broker.store import Store

GUEST: Final = "guest"


class Broker(Factory):
    """A broker, as the factory of its connections.

    :ivar users: passwords by name.
    :ivar vhosts: virtual hosts by name.
    :ivar connections: those that are open.
    :ivar compatibility: the version of RabbitMQ whose answers it gives.
    :ivar memory: the account of the things that peers make.
    :ivar work: long work, which is done in slices.
    :ivar losses: writes the messages that are lost to the log.
    :ivar tamper: for tests: called with each message that is published and where it goes; returns whether it counts as
        routed, and where it goes instead.
    """

    noisy = False

    def __init__(
        self,
        clock: IClock,
        *,
        users: Mapping[str, str] | None = None,
        vhosts: Iterable[str] = ("/",),
        limits: Limits | None = None,
        compatibility: Compatibility = RABBITMQ_4,
        store: Store | None = None,
    ) -> None:
        """:param users: passwords by name; ``None``: guest with password guest, from this machine alone."""
        self.clock = clock
        self.limits = limits or Limits()
        self.compatibility = compatibility
        self.users = dict(users) if users is not None else {GUEST: GUEST}
        self._loopback_only = {GUEST} if users is None else set()
        self.memory = Memory(self.limits.memory, self.limits.definitions, self._alarm_changed)
        self.work = Work(clock, self.run_pass)
        self.login_pauses = LoginPauses(clock)
        self.losses = LogLimit(clock)
        self.store = store
        self.vhosts: dict[str, VirtualHost] = {}
        self.connections: dict[BrokerConnection, None] = {}
        self.tamper: Callable[[Message, list[Target]], tuple[bool, list[Target]]] | None = None
        self.unflushed: list[BrokerConnection] = []
        self._at_end: deque[Callable[[], None]] = deque()
        self._confirming: dict[Publisher, None] = {}
        self._ending = False
        self._next_pass = Timer(clock, self._publish_more)
        for name in vhosts:
            self.add_vhost(name)

    # -- users and virtual hosts

    def add_user(self, name: str, password: str) -> None:
        """Let a user in, to all virtual hosts; or change the password."""
        self.users[name] = password
        self._loopback_only.discard(name)

    def add_vhost(self, name: str) -> None:
        """Make a virtual host. An existing one is left as it is.

        :raises ConfigurationError: the name is longer than 255 bytes (AMQP 0-9-1, section 4.2.5.3).
        """
        if len(name.encode("utf-8", "surrogateescape")) > 255:
            raise ConfigurationError(f"virtual host {name[:40]!r}...: its name is longer than 255 bytes")
        if name not in self.vhosts:
            self.vhosts[name] = VirtualHost(self, name, self.store)

    def login_problem(self, user: str, password: str, host: str) -> str | None:
        """Return why a login is rejected, or ``None``."""
        expected = self.users.get(user)
        given = password.encode("utf-8", "surrogateescape")
        if not hmac.compare_digest((expected or "").encode("utf-8", "surrogateescape"), given) or expected is None:
            return WRONG_LOGIN
        if user in self._loopback_only and not _is_loopback(host):
            return f"user '{user}' can only connect via localhost"
        return None

    def clear(self) -> None:
        """Drop exchanges, queues and messages, as the end of a process does. All connections must be closed."""
        self.work.finish()
        for vhost in self.vhosts.values():
            for queue in vhost.queues.values():
                queue.stop_timers()
        self._at_end.clear()
        self._next_pass.stop()
        self.losses.stop()
        self.losses = LogLimit(self.clock)
        self.memory.clear()
        self.vhosts = {name: VirtualHost(self, name, self.store) for name in self.vhosts}

    # -- connections

    def buildProtocol(self, addr: IAddress | None) -> BrokerConnection:
        """Return the protocol of a new connection."""
        return BrokerConnection(self)

    def admit(self, connection: BrokerConnection) -> bool:
        """Add a new connection; return False when there are too many."""
        if len(self.connections) >= self.limits.connections:
            self.log(f"connection from {connection.peer} rejected: there are {len(self.connections)} already")
            return False
        self.connections[connection] = None
        return True

    def connection_ended(self, connection: BrokerConnection) -> None:
        """A connection has ended."""
        self.connections.pop(connection, None)

    def close_connections(self, reason: str, vhost: str | None = None) -> None:
        """Close all connections, or those to one virtual host, as an operator does (320, CONNECTION_FORCED)."""
        for connection in [*self.connections]:
            if vhost is None or getattr(connection, "vhost", None) is self.vhosts.get(vhost):
                connection.close_with_error(ProtocolError(CONNECTION_FORCED, reason))
        self.end_pass()

    def set_alarm(self, on: bool) -> None:
        """Have publishers blocked, as if memory had run out; or no more."""
        self.memory.force_alarm(on)
        self.end_pass()

    def _alarm_changed(self, alarm: bool) -> None:
        if alarm:
            self.log(f"memory is short: {self.memory.held} bytes of messages are held; publishers are blocked")
            return
        self.log("memory is free again: publishers are unblocked")
        for connection in [*self.connections]:
            connection.alarm_ended()

    # -- passes

    def timer(self, function: Callable[[], None]) -> Timer:
        """Return a timer whose function runs in a pass."""
        return Timer(self.clock, lambda: self.run_pass(function))

    def run_pass(self, function: Callable[[], None]) -> None:
        """Run a pass that begins with a function. An exception is logged, and ends only the function."""
        try:
            function()
        except Exception:
            log.err(None, "in the embedded broker")
        finally:
            self.end_pass()

    def at_end_of_pass(self, function: Callable[[], None]) -> None:
        """Call a function before this pass ends."""
        self._at_end.append(function)

    def confirm_at_end_of_pass(self, publisher: Publisher) -> None:
        """Confirm the publishes of this pass at its end, or as soon as its changes are in the state file."""
        self._confirming[publisher] = None

    def end_pass(self) -> None:
        """Do the rest of the pass, and everything caused by it. Dead letters wait when this turn has done enough."""
        self._end_pass(0 if self.work.crowded else DEAD_LETTERS_PER_PASS)

    def _publish_more(self) -> None:
        self._end_pass(DEAD_LETTERS_PER_PASS)

    def _end_pass(self, left: int) -> None:
        if self._ending:
            return
        self._ending = True
        try:
            while (self._at_end and left) or self._confirming or self.unflushed:
                left = self._finish(left)
            if self.store is not None:
                self.store.write()  # an ack, or an expired message, may be all that has changed
            if self._at_end:
                self._next_pass.start(0)
        finally:
            self._ending = False

    def _finish(self, left: int) -> int:
        if self._at_end and left:
            left = self._publish_dead_letters(left)
        if self.store is not None:
            self.store.write()
        publishers, self._confirming = self._confirming, {}
        for publisher in publishers:
            self._confirm(publisher, *publisher.take_outcome())
        connections, self.unflushed = self.unflushed, []
        for connection in connections:
            connection.flush()
        return left

    def _publish_dead_letters(self, left: int) -> int:
        """Publish dead letters; return how many more this pass may publish. Each may go to thousands of queues."""
        begin = now = self.clock.seconds()
        while self._at_end and left and now <= begin + SLICE:
            left -= 1
            try:
                self._at_end.popleft()()
            except Exception:
                log.err(None, "in the embedded broker")
            now = self.clock.seconds()
        self.work.spend(now - begin)
        return left if now <= begin + SLICE else 0

    def _confirm(self, publisher: Publisher, published: int, rejected: list[int]) -> None:
        written = self.store.written() if self.store is not None else None
        if written is None:
            publisher.confirm(published, rejected)
        else:
            written.addCallbacks(
                lambda _: self.run_pass(lambda: publisher.confirm(published, rejected)),
                lambda _: self.run_pass(lambda: publisher.nack_up_to(published)),
            )

    def log(self, text: str) -> None:
        """Write one line to Twisted's log. Line ends in names that peers chose are escaped."""
        log.msg(printable(text))


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
