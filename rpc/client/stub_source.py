"""Where a connection gets the stub of a service that is named by its name alone.

Workers describe their services by the control service. Its client stands above this layer, since it asks by a
connection. So it names itself here when it is imported.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final, Protocol

import attrs
from twisted.internet.defer import Deferred


@attrs.frozen
class StubQuestion:
    """Which stub is wanted.

    :ivar service: the service's name on the broker; ``<service>@<instance>`` asks this worker.
    :ivar queue: its request queue, when it has another name than ``rpc.<service>``.
    :ivar user_id, app_id: of the client, for workers that answer some callers only.
    """

    service: str
    queue: str | None = None
    user_id: bool | str = False
    app_id: str | None = None


class StubSource(Protocol):
    """Asks workers for the stub of their service."""

    def __call__(self, connection: Any, question: StubQuestion, /) -> Deferred[ModuleType]: ...


_sources: Final[list[StubSource]] = []


def use_source(source: StubSource) -> None:
    """Have connections get stubs from `source`."""
    _sources[:] = [source]


def ask_for_stub(connection: Any, question: StubQuestion) -> Deferred[ModuleType]:
    """Ask the source."""
    (source,) = _sources
    return source(connection, question)
