"""``thrift-rpc queue``: gives the queues of a service other arguments."""

from __future__ import annotations

from typing import Any, Final

import attrs
import click

from rpc.amqp.protocol import AMQPConnection
from rpc.cli.alarm import publishing_connection, unless_blocked
from rpc.cli.completion import complete_service
from rpc.cli.confirmation import confirmed
from rpc.cli.named_values import named_values
from rpc.cli.queue_migration import Migration, lock_service
from rpc.cli.running import broker_option, command_line_errors, errors_in_words, open_connection, run
from rpc.cli.service_queues import no_such_queue
from rpc.cli.standard_output import say, warn
from rpc.cli.worker_options import SOME_SECONDS, WholeNumber
from rpc.errors import ConfigurationError
from rpc.exchanges import declare_exchanges
from rpc.topology import BROADCAST, CONSUMER_TIMEOUT, DEAD, REQUESTS, ServiceTopology, direct_exchange
from rpc.uri import BrokerURI
from rpc.worker.queue_options import HIGHEST_PRIORITY, QUEUE_TYPES, QueueOptions
from rpc.worker.service import LONGEST_QUEUE

PATIENCE: Final = 30.0

QUESTION: Final = "Replace each of these queues by one with the new arguments, and move its messages?"

NO_DIFFERENCE: Final = (
    "the broker sees no difference between {} and these options: nothing was moved. It does not compare "
    f"{CONSUMER_TIMEOUT}: to change that, use --always"
)

GO_ON: Final = "No message is lost; some may wait in {}. Run the same command again: it goes on from there"

MISSING: Final = (
    "at least {} that had been moved to {} left it at once. They have expired, or a worker has taken them, or RabbitMQ "
    "has dropped them, because a policy bounds the queue without overflow (see: rabbitmqctl list_policies)"
)


@click.group(name="queue")
def queue_command() -> None:
    """Give the queues of a service other arguments."""


@queue_command.command(name="migrate", short_help="Replace the queues of a service, and move all messages.")
@click.argument("service", shell_complete=complete_service)
@broker_option
@click.option("--queue", metavar="NAME", help="The service's request queue, when it is not rpc.SERVICE.")
@click.option("--exchange", metavar="NAME", default=REQUESTS, show_default=True, help="Where requests are published.")
@click.option("--queue-type", type=click.Choice(QUEUE_TYPES), default="classic", show_default=True)
@click.option("--backlog", type=WholeNumber(1), help="The most ready requests. Default: no limit.")
@click.option("--max-priority", type=WholeNumber(1, HIGHEST_PRIORITY), help="The highest priority. Default: none.")
@click.option("--consumer-timeout", type=float, metavar="SECONDS", help="How long a call may run unacked.")
@click.option(
    "--queue-argument",
    "queue_arguments",
    multiple=True,
    metavar="NAME=VALUE",
    callback=named_values("x-max-length-bytes=1000000"),
    help="One of the service's queue_arguments; the value is JSON, or text. Can be repeated.",
)
@click.option(
    "--always", is_flag=True, help=f"Also when the broker sees no difference: it does not compare {CONSUMER_TIMEOUT}."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--patience",
    type=SOME_SECONDS,
    default=PATIENCE,
    show_default=True,
    metavar="SECONDS",
    help="How long the new queue may be full before the command ends.",
)
def migrate_command(service: str, broker: BrokerURI, always: bool, yes: bool, patience: float, **options: Any) -> None:
    """Replace the queues of SERVICE by queues with the given options, and move all messages into them.

    Give the options that the service has in its code. An option that is left out has its default, not the old queue's
    value. The command shows what changes, and asks.

    A worker that is refused because of its queue logs the command. Stop all workers of the service first; clients can
    go on calling, and their requests wait. Start the workers again when the command has ended, or when it says that
    the new queue is full.

    Queues in which the broker sees no difference are left alone. The request queue, the quarantine and the dead letters
    are replaced one after another. However the command ends, no request is lost; the same command goes on from there.

    Exit status: 0 when all was done; 1 when the command failed, with the reason on standard error; 2 when the command
    line is wrong.
    """
    with command_line_errors():
        topology = _topology(service, **options)
    told: list[Migration] = []
    try:
        with errors_in_words():
            run(lambda reactor: _migrated(reactor, broker, topology, always, yes, patience, told))
    except click.ClickException as error:
        raise click.ClickException(error.message + _unfinished(told)) from error
    except click.Abort:
        if unfinished := _unfinished(told):
            warn(unfinished.removeprefix("\n"))
        raise
    (migration,) = told
    for line in _report(migration) or [NO_DIFFERENCE.format(topology.queue)]:
        say(line)
    for line in _missing(migration):
        warn(line)


def _topology(service: str, queue: str | None, exchange: str, **options: Any) -> ServiceTopology:
    checked: dict[str, Any] = attrs.asdict(QueueOptions(**options), recurse=False)
    if queue is not None:
        checked["queue"] = queue
    topology = ServiceTopology(service, exchange, **checked)
    if len(topology.queue.encode()) > LONGEST_QUEUE:
        raise ConfigurationError(f"the queue {topology.queue}: must have a name of at most {LONGEST_QUEUE} bytes")
    return topology


async def _migrated(
    reactor: Any,
    broker: BrokerURI,
    topology: ServiceTopology,
    always: bool,
    yes: bool,
    patience: float,
    told: list[Migration],
) -> None:
    """:param told: gets the migration, which tells how far it has come."""
    holding = await open_connection(reactor, broker, "thrift-rpc queue")
    try:
        async with publishing_connection(reactor, broker, "thrift-rpc queue publishing") as publishing:
            migration = Migration(reactor, holding, publishing, topology.service, patience)
            told.append(migration)
            await lock_service(holding, topology)
            await _prepare(holding, migration, topology)
            plan = [] if yes else await migration.plan(topology, always=always)
            for line in plan:
                say(line)
            if plan and not await confirmed(reactor, QUESTION):
                raise click.Abort
            await unless_blocked(publishing, migration.replace(topology, always=always))
    finally:
        await holding.close()


async def _prepare(holding: AMQPConnection, migration: Migration, topology: ServiceTopology) -> None:
    if not await migration.exists(topology.queue):
        raise no_such_queue(topology.queue)
    await declare_exchanges(holding, map(direct_exchange, (topology.exchange, BROADCAST, DEAD)))
    await migration.try_arguments(topology.request_queue())


def _report(migration: Migration) -> list[str]:
    return [f"moved {_messages(moved)} to the new {queue}" for queue, moved in migration.moved.items()]


def _missing(migration: Migration) -> list[str]:
    return [MISSING.format(_messages(number), queue) for queue, number in migration.missing.items()]


def _unfinished(told: list[Migration]) -> str:
    """Return what was done before the command failed, in lines."""
    lines = [line for migration in told for line in _report(migration) + _missing(migration)]
    lines += [GO_ON.format(store) for migration in told for store in migration.unfinished]
    return "".join(f"\n{line}" for line in lines)


def _messages(number: int) -> str:
    return f"{number} message{'' if number == 1 else 's'}"
