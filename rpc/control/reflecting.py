"""Makes the stub of a service from the description of one of its workers."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from twisted.internet.defer import Deferred

from rpc.client.connection import Connection
from rpc.client.gathered import End
from rpc.client.stub_source import StubQuestion
from rpc.control.answers import BLOCKED, Answers, why_unroutable
from rpc.control.asking import Control
from rpc.control.described_idl import key_of
from rpc.control.stubs.control.ttypes import WorkerDescription
from rpc.errors import ConfigurationError, InvalidReply, Outcome, RPCError, ServiceUnavailable
from rpc.reflection import Reflection

WAIT: Final = 2.0
"""Seconds that workers have to answer each question."""

MOST_ASKED: Final = 3
"""Workers that are asked one after the other, when a description cannot be used."""

LARGEST: Final = 3 * 1024 * 1024
"""Characters of a description. It is read and made into classes while the reactor waits: 3,000 structs with eight
fields each take 0.4 s.
"""

MOST_SAID: Final = 1000
"""Characters of an error: workers have written parts of it."""


def reflect(connection: Connection, question: StubQuestion) -> Deferred[ModuleType]:
    """Return the stub of a service; see :meth:`rpc.Connection.reflect`."""
    return Deferred.fromCoroutine(_reflect(connection, question))


async def _reflect(connection: Connection, question: StubQuestion) -> ModuleType:
    service, _, instance = question.service.partition("@")
    control = Control(connection, user_id=question.user_id, app_id=question.app_id)
    instances = [instance] if instance else await _serving(control, service, question.queue)
    silent: list[str] = []
    useless: list[str] = []
    for name in instances[:MOST_ASKED]:
        answers = await control.describe(service, instance=name, wait=WAIT)
        try:
            if answers.good:
                return _stub_in(answers.good[0].value, service)
            silent.append(f"{name}: {_why_none(answers, is_instance=True)}")
        except (ValueError, ConfigurationError) as error:
            useless.append(f"{name}: {error}")
    raise _no_description(service, silent, useless)


async def _serving(control: Control, service: str, queue: str | None) -> list[str]:
    """Return the names of the workers that serve a service.

    :raises ServiceUnavailable: no worker has answered.
    """
    answers = await control.ping(service, queue=queue, wait=WAIT)
    if not answers.good:
        raise ServiceUnavailable(
            f"{service}: no worker that serves it has answered: {_why_none(answers, is_instance=False)}"
        )
    return [each.value.instance for each in answers.good]


def _why_none(answers: Answers[Any], *, is_instance: bool) -> str:
    """Return why there is no answer: of the workers of a service, or of one instance."""
    if answers.bad:
        return answers.bad[0].problem
    if answers.end is End.UNROUTABLE:
        return why_unroutable(is_instance=is_instance)
    if answers.problem is not None:
        return answers.problem
    if is_instance:
        return f"it did not answer within {WAIT:g} s: {BLOCKED}"
    if answers.expected:
        workers = "1 worker consumes" if answers.expected == 1 else f"{answers.expected} workers consume"
        return f"{workers} its queue, and did not answer within {WAIT:g} s: {BLOCKED}"
    if answers.expected == 0:
        return "none consumes its queue"
    return f"there was no answer within {WAIT:g} s; 'thrift-rpc list' shows the services that are there"


def _stub_in(worker: WorkerDescription, service: str) -> ModuleType:
    """Return the stub of a service that a worker has described.

    :raises ValueError: the description cannot be used.
    :raises ConfigurationError: the same.
    """
    described = next(each for each in worker.services if each.name == service)
    text = described.idl_json
    if text is None:
        raise ValueError("it has no idl.json for its stub: compile the IDL with 'thrift-rpc compile'")
    if len(text) > LARGEST:
        raise ValueError(f"its idl.json has {len(text)} characters; at most {LARGEST} are taken")
    reflection = Reflection.read(text)
    key = key_of(described.stub, reflection.services)
    if key is None:
        raise ValueError(f"its idl.json does not describe its stub {described.stub[:100]!r}")
    return reflection.stub(key)


def _no_description(service: str, silent: list[str], useless: list[str]) -> RPCError:
    if useless:
        what = f"{service}: no worker has given a description that can be used: {'; '.join(useless)}"
        return InvalidReply(what[:MOST_SAID], Outcome.NOT_SENT)
    return ServiceUnavailable(f"{service}: no worker has described it: {'; '.join(silent)}"[:MOST_SAID])
