"""``thrift-rpc dead``: list, show, replay and purge the dead letters of a service.

Each command consumes the letters of the queues once, in rounds, and puts back those that it does not remove (see
``dead_letters.py``). Bodies are kept only of letters that are to be shown or replayed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import click

from rpc.amqp.channel import Channel
from rpc.cli.alarm import publishing_connection, unless_blocked
from rpc.cli.completion import complete_service
from rpc.cli.confirmation import confirmed
from rpc.cli.copies import copy_revived, copy_signed_anew, own_user
from rpc.cli.dead_body import Arguments, body_lines
from rpc.cli.dead_choice import Choice
from rpc.cli.dead_holding import holding
from rpc.cli.dead_letters import Letter
from rpc.cli.dead_queues import DeadQueues
from rpc.cli.dead_replay import Progress, Replay
from rpc.cli.dead_text import count, heading, json_line, label, lines, some
from rpc.cli.progress import progress
from rpc.cli.running import (
    KNOWN,
    broker_option,
    command_line_errors,
    errors_in_words,
    keys_option,
    meaning,
    run,
)
from rpc.cli.standard_output import say, warn
from rpc.cli.worker_options import WholeNumber
from rpc.errors import DeclarationRefused
from rpc.keys import Keys
from rpc.topology import DeadLetterKind, ServiceTopology
from rpc.uri import BrokerURI

BYTES_SHOWN: Final = 512

KEPT_BYTES: Final = 256 * 1024 * 1024
"""Most bytes of bodies that are kept for the letters that a command line names."""

Command = TypeVar("Command", bound=Callable[..., Any])
Kinds: TypeAlias = tuple[DeadLetterKind, ...]


@click.group(name="dead", short_help="List, show, replay or delete the dead letters of a service.")
def dead_command() -> None:
    """List, show, replay or delete the dead letters of a service: requests that its workers rejected for good.

    SERVICE is the service's name, such as Calculator; its dead letters are in the queue rpc.SERVICE.dead, and in
    rpc.SERVICE.dead.KIND. The kinds are "unfinished" (workers began the request too often and did not finish it),
    "unserved" (a worker did not run the request, and could not tell its sender) and "invalid" (no worker of the service
    can read the request, or accepts it as it is).

    A letter is named by its NUMBER in the list, or by its message id. A message id of digits needs "id:" before it.
    Numbers are positions: they change when letters are removed, also when a full queue drops its oldest. Message ids
    stay. A request that was dead-lettered twice is listed twice.

    While a command runs, it holds the letters that it has read, and refuses another command. Letters that arrive
    meanwhile stay. However a command ends, the letters that it has not removed return to their old positions.

    Exit status: 0 when all was done; 1 when the command failed or a letter could not be replayed, with the reason on
    standard error; 2 when the command line is wrong; 141 when the reader of the output is gone.
    """


def _kinds(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> Kinds:
    """Return the kinds that a command line names; all kinds, if none."""
    return tuple(map(DeadLetterKind, words)) or tuple(DeadLetterKind)


def _of_service(command: Command) -> Command:
    """Add the argument and options that all four commands take."""
    for option in (
        click.option(
            "--queue",
            metavar="NAME",
            help="The service's request queue, when it is not rpc.SERVICE; the dead letters are in NAME.dead.",
        ),
        click.option(
            "--kind",
            "kinds",
            type=click.Choice([kind.value for kind in DeadLetterKind]),
            multiple=True,
            callback=_kinds,
            help="Only letters of this kind; can be repeated. Their numbers stay the same.",
        ),
        broker_option,
        click.argument("service", shell_complete=complete_service),
    ):
        command = option(command)
    return command


def _checked_choice(words: tuple[str, ...], all_letters: bool) -> Choice:
    if bool(words) == all_letters:
        raise click.UsageError("Name the letters by number or message id, or give --all; not both.")
    return Choice(frozenset(words))


def _topology(service: str, queue: str | None) -> ServiceTopology:
    return ServiceTopology(service) if queue is None else ServiceTopology(service, queue=queue)


@dead_command.command(name="list", short_help="List dead letters, one a line.")
@_of_service
@click.option("--json", "as_json", is_flag=True, help="For programs: only a JSON object per line.")
def list_command(service: str, broker: BrokerURI, queue: str | None, kinds: Kinds, as_json: bool) -> None:
    """List dead letters: number, kind, method, bytes of the body, message id, reason.

    The letters of a kind follow each other, oldest first.
    """
    with errors_in_words():
        letters = run(lambda reactor: _listed(reactor, broker, _topology(service, queue), kinds))
    for line in map(json_line, letters) if as_json else lines(letters):
        say(line)
    if not as_json:
        say(f"{count(len(letters))} of {service}")


async def _listed(reactor: Any, broker: BrokerURI, topology: ServiceTopology, kinds: Kinds) -> list[Letter]:
    async with holding(reactor, broker, topology, kinds) as dead:
        return await _chosen(dead, Choice(frozenset()), with_content=False)


@dead_command.command(name="show")
@_of_service
@click.argument("letters", nargs=-1, required=True, metavar="NUMBER|ID...")
@click.option(
    "--stub",
    metavar="MODULE",
    help="The service's stub, such as generated.calculator.Calculator: show the arguments as JSON.",
)
@click.option(
    "--bytes",
    "most",
    type=WholeNumber(0),
    default=BYTES_SHOWN,
    show_default=True,
    help="Bytes to show of a body that is not shown as arguments.",
)
def show_command(
    service: str,
    broker: BrokerURI,
    queue: str | None,
    kinds: Kinds,
    letters: tuple[str, ...],
    stub: str | None,
    most: int,
) -> None:
    """Show letters completely: reason, properties, headers, body."""
    with command_line_errors():
        arguments = None if stub is None else Arguments.of(stub)
    with errors_in_words():
        choice = Choice(frozenset(letters))
        shown = run(lambda reactor: _shown(reactor, broker, _topology(service, queue), kinds, choice))
    for letter in shown:
        for line in heading(letter):
            say(line)
        for line in body_lines(letter, arguments, most):
            say(f"  {line}")


async def _shown(
    reactor: Any, broker: BrokerURI, topology: ServiceTopology, kinds: Kinds, choice: Choice
) -> list[Letter]:
    async with holding(reactor, broker, topology, kinds) as dead:
        return await _chosen(dead, choice, with_content=True)


async def _chosen(dead: DeadQueues, choice: Choice, *, with_content: bool) -> list[Letter]:
    """Read all letters. Return those of the choice.

    :raises click.ClickException: a word of the choice names no letter, or the contents need too much memory.
    """
    chosen: list[Letter] = []
    kept = 0
    with progress(dead.count, "reading") as advance:
        while letters := await dead.next_round():
            for letter in filter(choice.includes, letters):
                kept += letter.size if with_content else 0
                if kept > KEPT_BYTES:
                    raise click.ClickException(
                        f"the letters that are named have more than {KEPT_BYTES} bytes: name fewer at a time"
                    )
                chosen.append(letter if with_content else letter.without_content())
            advance(len(letters))
    choice.check(chosen, dead.read)
    return chosen


@dead_command.command(name="replay", short_help="Republish letters to the service's queue.")
@_of_service
@click.argument("letters", nargs=-1, metavar="[NUMBER|ID]...")
@click.option("--all", "all_letters", is_flag=True, help="All letters of these kinds that are there now.")
@keys_option("A file of keys: letters with a valid signature, of any age, are signed anew. Others stay.")
def replay_command(
    service: str,
    broker: BrokerURI,
    queue: str | None,
    kinds: Kinds,
    letters: tuple[str, ...],
    all_letters: bool,
    keys: Keys | None,
) -> None:
    """Republish letters to the service's queue, in the order of the list.

    A letter is removed from the dead letters when the broker has confirmed it in the queue. A letter that the broker
    refuses stays, and so do a signed one without --keys, and one that has only the head of its request. A replayed
    letter runs like any request, but has no reply and does not expire. If its workers reject it again, or crash on it
    again, it becomes a dead letter again.
    """
    choice = _checked_choice(letters, all_letters)
    topology = _topology(service, queue)
    replay = Progress()
    try:
        with errors_in_words():
            run(lambda reactor: _replayed(reactor, broker, topology, kinds, choice, keys, replay))
    except click.ClickException as error:
        raise click.ClickException(error.message + _progress(replay)) from error
    except click.Abort:
        warn(_progress(replay).removeprefix("\n"))
        raise
    done = f"replayed {count(replay.replayed)} to {topology.queue}"
    say(done, done)
    if replay.staying:
        raise click.ClickException(_stay(replay))


async def _replayed(
    reactor: Any,
    broker: BrokerURI,
    topology: ServiceTopology,
    kinds: Kinds,
    choice: Choice,
    keys: Keys | None,
    told: Progress,
) -> None:
    """:param told: is kept up to date."""
    async with publishing_connection(reactor, broker, "thrift-rpc dead replay") as connection:
        channel = await connection.open_channel()
        await _confirming(channel, topology.queue)
        own = await unless_blocked(connection, own_user(connection))
        async with holding(reactor, broker, topology, kinds) as dead:
            named = await _chosen(dead, choice, with_content=True) if choice.words else None
            total = dead.count if named is None else len(named)
            with progress(total, "replaying") as advance:
                copy_of = copy_revived if keys is None else partial(copy_signed_anew, keys, topology.service)
                replay = Replay(told, topology.queue, dead, channel, advance, own, copy_of)
                await unless_blocked(connection, replay.run(reactor, _batches(dead, named)))


async def _batches(dead: DeadQueues, named: list[Letter] | None) -> AsyncIterator[list[Letter]]:
    """Yield the letters to replay: those that were named, or all letters as they are read."""
    if named is not None:
        yield named
    while letters := await dead.next_round():
        yield letters


async def _confirming(channel: Channel, queue: str) -> None:
    try:
        await channel.queue_declare(queue=queue, passive=True)
    except DeclarationRefused as error:
        raise click.ClickException(f"there is no queue {queue} to replay to; see --queue and --broker") from error
    await channel.confirm_select()


def _progress(replay: Progress) -> str:
    """Return the numbers of letters in each state, in lines, after a replay that was not completed."""
    told = []
    if replay.replayed:
        unsure = "" if replay.removed else "; they may still be dead letters as well"
        told.append(f"{count(replay.replayed)} replayed{unsure}")
    if replay.staying:
        told.append(_stay(replay))
    if replay.unanswered:
        named = some([label(letter) for letter in replay.unanswered.values()])
        told.append(
            f"{count(len(replay.unanswered))} sent, not confirmed: still dead, and perhaps replayed as well{named}"
        )
    if replay.unsent:
        told.append(f"{count(replay.unsent)} not sent: still dead")
    return "".join(f"\n{line}" for line in told)


def _stay(replay: Progress) -> str:
    return f"{count(len(replay.staying))} not replayed:" + some(
        [f"{label(it)}: {reason}" for it, reason in replay.staying]
    )


@dead_command.command(name="purge")
@_of_service
@click.argument("letters", nargs=-1, metavar="[NUMBER|ID]...")
@click.option("--all", "all_letters", is_flag=True, help="All letters of these kinds that are there now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge_command(
    service: str,
    broker: BrokerURI,
    queue: str | None,
    kinds: Kinds,
    letters: tuple[str, ...],
    all_letters: bool,
    yes: bool,
) -> None:
    """Delete letters for good. Lists them and asks first."""
    choice = _checked_choice(letters, all_letters)
    acked: list[Letter] = []
    try:
        with errors_in_words():
            run(lambda reactor: _purged(reactor, broker, _topology(service, queue), kinds, choice, yes, acked))
    except click.Abort:
        if acked:
            warn(f"{count(len(acked))} deleted, or perhaps not all of them: list them again")
        raise
    deleted = len(acked)
    done = f"deleted {count(deleted)} of {service}"
    say(done, done)


async def _purged(
    reactor: Any,
    broker: BrokerURI,
    topology: ServiceTopology,
    kinds: Kinds,
    choice: Choice,
    yes: bool,
    acked: list[Letter],
) -> None:
    """:param acked: gets the letters that are deleted, before they are."""
    async with holding(reactor, broker, topology, kinds) as dead:
        letters = await _chosen(dead, choice, with_content=False)
        if letters and not yes:
            say(some(list(lines(letters))).removeprefix("\n"))
            if not await confirmed(reactor, f"Delete {count(len(letters))} of {topology.service} for good?"):
                raise click.Abort
        acked.extend(letters)
        dead.remove(letters)
        try:
            await dead.removed()
        except KNOWN as error:
            raise click.ClickException(f"{meaning(error)}\nsome letters may be left: list them again") from error
