"""``thrift-rpc describe``: a service as its workers describe it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import click

from rpc import idl
from rpc.cli.completion import complete_service
from rpc.cli.control_options import (
    FAILED,
    Asking,
    asks_workers,
    duration,
    finite,
    json_of_problems,
    queue_option,
    say_json,
    say_lines,
    split,
    table,
    tell_problems,
)
from rpc.cli.invocation import methods
from rpc.cli.standard_output import warn
from rpc.control import Answers, Control, ServiceDescription, WorkerDescription
from rpc.control.described_idl import idl_of
from rpc.control.names import service_state_name, status_name


@attrs.frozen
class Described:
    """The answers of the workers of a service.

    :ivar workers: all of them, without the text of the IDL.
    :ivar service: as one of them describes it, with the text of its IDL.
    """

    workers: Answers[WorkerDescription]
    service: ServiceDescription


@click.command("describe", short_help="Show methods, options and workers of a service.")
@click.argument("service", metavar="SERVICE[@INSTANCE]", shell_complete=complete_service)
@queue_option
@asks_workers
def describe_command(service: str, queue: str | None, **options: Any) -> None:
    """Show a service as its workers describe it: queue, options, methods, and the workers themselves.

    Options are those that differ from their defaults. Of keys and users, only that there are some is told. The methods
    have their types when the service's stub was made by "thrift-rpc compile". With --json, "idl_json" has the text of
    its idl.json.

    Exit status: 0 when a worker has answered; 1 when none has, or the command failed; 2 when the command line is wrong.
    """
    name, instance = split(service)
    asking = Asking(**options)
    workers, with_idl = asking.run(lambda control: _look(control, name, instance, queue, asking.wait))
    tell_problems(workers, asking.wait, service)
    if with_idl is None:
        raise SystemExit(FAILED)
    first = workers.good[0].value
    tell_problems(with_idl, asking.wait, f"{name}@{first.instance}")
    found = Described(workers, _of(next(iter(with_idl), first), name))
    if asking.as_json:
        say_json(as_json(found))
    else:
        say_lines(lines(found))


async def _look(
    control: Control, name: str, instance: str | None, queue: str | None, wait: float
) -> tuple[Answers[WorkerDescription], Answers[WorkerDescription] | None]:
    """Ask all workers without the text of ``idl.json``, which may be long, then the first one with it.

    :return: the answers to both questions; ``None``: no worker has answered the first one.
    """
    workers = await control.workers(name, instance=instance, queue=queue, wait=wait)
    if not workers.good:
        return workers, None
    first = workers.good[0].value.instance
    return workers, await control.describe(name, instance=first, wait=wait)


def lines(found: Described) -> Iterator[str]:
    """Yield the lines for a terminal."""
    service = found.service
    yield f"{service.name}  (service {service.idl_name} of {service.stub})"
    yield f"  queue {service.queue}, exchange {service.exchange}"
    for name, value in sorted(service.options.items()):
        yield f"  {name} = {value}"
    yield ""
    yield from _methods(service)
    yield ""
    head = ("INSTANCE", "STATUS", "SERVICE", "VERSION", "UPTIME", "HOST", "PID")
    yield from table(head, [_cells(worker, service.name) for worker in found.workers], (6,))
    different = [worker.instance for worker in found.workers if not _is_alike(_of(worker, service.name), service)]
    if different:
        yield ""
        yield f"Other methods or options than these: {', '.join(different)}"


def _methods(service: ServiceDescription) -> list[str]:
    """Return the methods with their types, or without when the worker does not know them."""
    known: idl.ServiceDescription | None = None
    try:
        known = idl_of(service)
    except ValueError as error:
        warn(f"the worker's idl.json cannot be read: {error}")
    if known is not None:
        return methods(known)
    return [f"{'oneway ' if method.is_oneway else ''}{method.name}" for method in service.methods]


def _cells(worker: WorkerDescription, name: str) -> tuple[str, ...]:
    return (
        worker.instance,
        status_name(worker.status),
        service_state_name(_of(worker, name).state),
        worker.version,
        duration(worker.uptime),
        worker.host,
        str(worker.pid),
    )


def _of(worker: WorkerDescription, name: str) -> ServiceDescription:
    return next(each for each in worker.services if each.name == name)


def _is_alike(one: ServiceDescription, other: ServiceDescription) -> bool:
    return (one.methods, one.options, one.exchange, one.queue) == (
        other.methods,
        other.options,
        other.exchange,
        other.queue,
    )


def as_json(found: Described) -> dict[str, Any]:
    """Return the JSON object."""
    service = found.service
    return {
        "service": service.name,
        "idl_name": service.idl_name,
        "stub": service.stub,
        "exchange": service.exchange,
        "queue": service.queue,
        "options": service.options,
        "methods": [
            {
                "name": method.name,
                "oneway": method.is_oneway,
                "idempotent": method.is_idempotent,
                "timeout": finite(method.timeout),
            }
            for method in service.methods
        ],
        "idl_json": service.idl_json,
        "workers": [
            {
                "instance": worker.instance,
                "status": status_name(worker.status),
                "details": worker.details,
                "state": service_state_name(_of(worker, service.name).state),
                "version": worker.version,
                "uptime": finite(worker.uptime),
                "host": worker.host,
                "pid": worker.pid,
                "options": worker.options,
                "is_alike": _is_alike(_of(worker, service.name), service),
            }
            for worker in found.workers
        ],
        **json_of_problems(found.workers),
    }
