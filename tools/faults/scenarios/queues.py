"""Faults of operation: queues deleted, users revoked, options mistyped, messages expired."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.python import log

import rpc
from rpc.backoff import STEADY
from rpc.topology import REQUESTS
from tools.faults.probe import stub
from tools.faults.scenario import Finding, Scenario
from tools.faults.trial import Trial
from tools.faults.waiting import clock, pause

SERVED_AGAIN = 2.0
APART = STEADY + 1.0
"""Seconds between two faults: losses in quick succession are met with growing delays, on purpose."""

LONGEST_DELAY = 16.5
"""Seconds between attempts to connect: the cap, its jitter, and the time of the attempt itself."""


async def request_queue_deleted(trial: Trial, times: int) -> Finding:
    """Delete the request queue under a worker and its callers."""
    await trial.worker()
    client = await trial.client(timeout=3.0)
    account = trial.account
    gaps = []
    for time in range(times):
        if time:
            await pause(APART)
        deleting = Deferred.fromCoroutine(_delete_request_queue(trial))
        while not deleting.called:
            await account.at_rate(lambda number: client.echo(number, 5), 50, 10, 3.0)
        gone = await deleting
        await account.settled()
        gaps.append(account.gap(gone))
    slowest = max(gaps)
    seen = f"{times} times: answers again after {slowest:.2f} s at most; meanwhile {account.told()}"
    meanwhile = {"ServiceUnavailable", "CallTimedOut"}
    return Finding(seen, slowest <= SERVED_AGAIN and set(account.failed) <= meanwhile)


async def _delete_request_queue(trial: Trial) -> float:
    """Delete it, and wait for longer than it may take to be served again. Return when it was gone."""
    await pause(0.5)
    await trial.ctl("delete_queue", f"rpc.{trial.name}")  # which takes seconds on a busy machine
    gone = float(clock.seconds())
    await pause(SERVED_AGAIN + 0.5)
    return gone


async def reply_queue_deleted(trial: Trial, times: int) -> Finding:
    """Delete the reply queue of a client with calls in progress, some of which may not be run twice."""
    await trial.worker()
    client = await trial.client(timeout=10.0)
    account = trial.account
    await account.ask(lambda number: client.once(number, 0), 10.0)
    again = []
    for time in range(times):
        if time:
            await pause(APART)
        asked = [account.ask(lambda number: client.once(number, 3000), 10.0) for _ in range(10)]
        queue = trial.connections[0]._callers[REQUESTS, None].reply_queue
        await pause(0.1)
        gone = clock.seconds()
        # rabbitmqctl delete_queue refuses exclusive queues; this is the function behind it.
        await trial.ctl(
            "eval",
            f'{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{queue}">>)), '
            'rabbit_amqqueue:delete(Q, false, false, <<"fault">>).',
        )
        for each in asked:
            await each
        settled = clock.seconds() - gone
        await account.ask(lambda number: client.once(number, 0), 10.0)
        again.append((settled, account.gap(gone + settled)))
    pending, following = max(each[0] for each in again), max(each[1] for each in again)
    seen = (
        f"{times} times: pending calls settled {pending:.1f} s after the order, the next call answered "
        f"{following:.2f} s later; {account.told()}"
    )
    expected = set(account.failed) <= {"ConnectionLost"} and len(account.answered) >= times
    return Finding(seen, expected and following <= SERVED_AGAIN)


async def logins(trial: Trial, seconds: float) -> Finding:
    """Connect with options that the broker rejects; then revoke a valid login."""
    user, password = f"user-{secrets.token_hex(3)}", secrets.token_hex(8)
    words = {
        "wrong password": await _refused(trial.url.replace(":guest@", ":mistyped@")),
        "wrong virtual host": await _refused(f"{trial.url}/nowhere"),
        "expired certificate": await _refused_certificate(trial),
    }
    clear = {
        "wrong password": ("AuthenticationFailed", "403"),
        "wrong virtual host": ("VirtualHostRefused", "nowhere"),
        "expired certificate": ("BrokerUnreachable", "expired"),
    }
    unclear = [what for what, wanted in clear.items() if not all(word in words[what] for word in wanted)]

    await trial.ctl("add_user", user, password)
    await trial.ctl("set_permissions", user, ".*", ".*", ".*")
    await trial.worker()
    proxy = trial.proxy()
    connection = await trial.connect(trial.by(proxy).replace("guest:guest", f"{user}:{password}"))
    client = connection.client(stub(), name=trial.name, timeout=1.0)
    await trial.account.ask(lambda number: client.echo(number, 0), 1.0)
    logged: list[str] = []

    def observe(event: dict[str, Any]) -> None:
        logged.append(str(log.textFromEventDict(event)))

    log.addObserver(observe)
    try:
        await trial.ctl("delete_user", user)
        proxy.drop()
        await pause(seconds)
        await trial.account.ask(lambda number: client.echo(number, 0), 1.0)
    finally:
        log.removeObserver(observe)
    attempts = proxy.attempts[1:]
    delays = [later - earlier for earlier, later in pairwise(attempts)]
    told = sum("403" in line for line in logged)
    leaked = sum(password in line for line in logged)
    said = trial.account.words.get("ServiceUnavailable", "nothing")
    seen = (
        "; ".join(f"{what}: {said}" for what, said in words.items())
        + f"; login revoked: {len(attempts)} attempts in {seconds:.0f} s, {told} told in the log, at most "
        f"{max(delays, default=0.0):.1f} s between two; a call then says: {said}"
    )
    capped = max(delays, default=0.0) <= LONGEST_DELAY and len(attempts) <= 5 + seconds / 4
    return Finding(seen, not unclear and capped and told > 0 and not leaked and "403" in said)


async def _refused(url: str) -> str:
    try:
        connection = await rpc.connect(url)
    except rpc.AMQPError as error:
        return f"{type(error).__name__}: {error}"
    await connection.close()
    return "let in"


async def _refused_certificate(trial: Trial) -> str:
    """Connect to a server whose certificate, by an authority that we trust, has expired."""
    import trustme

    authority = trustme.CA()
    ca_file, server_file = trial.folder / "ca.pem", trial.folder / "server.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    expired = datetime.now(timezone.utc) - timedelta(days=1)
    authority.issue_cert("localhost", not_after=expired).private_key_and_cert_chain_pem.write_to_path(str(server_file))
    context = ssl.DefaultOpenSSLContextFactory(str(server_file), str(server_file))
    port = clock.listenSSL(0, Factory.forProtocol(Protocol), context, interface="127.0.0.1")
    try:
        return await _refused(f"amqps://guest:guest@localhost:{port.getHost().port}?cacertfile={ca_file}")
    finally:
        await port.stopListening()


SCENARIOS = (
    Scenario(
        "request-queue-deleted",
        "request queue deleted",
        "served again in 2 s",
        request_queue_deleted,
        quick={"times": 1},
        full={"times": 4},
    ),
    Scenario(
        "reply-queue-deleted",
        "reply queue deleted",
        "pending calls are settled, the next call works within 2 s",
        reply_queue_deleted,
        quick={"times": 1},
        full={"times": 4},
    ),
    Scenario(
        "logins",
        "login revoked, wrong virtual host, expired certificate",
        "clear error, capped backoff (16 s)",
        logins,
        quick={"seconds": 2.0},
        full={"seconds": 60.0},
    ),
)
