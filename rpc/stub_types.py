"""How type checkers find the client's type from a stub. Nothing of this is used at run time.

A module can have the place of a protocol's object (PEP 544, "Modules as implementations of protocols"). So neither mypy
nor pyright needs a plugin or an annotation for ``connection.client(Glossary)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

ClientType = TypeVar("ClientType")
ClientType_co = TypeVar("ClientType_co", covariant=True)


class StubModule(Protocol[ClientType_co]):
    """The module of a service, such as ``generated.calculator.Calculator``."""

    @property
    def Client(self) -> Callable[..., ClientType_co]:
        """The class beside the module's ``Iface``, with the methods and their types."""


class AsyncioStub(Protocol[ClientType_co]):
    """The module of a service, for clients of :mod:`rpc.aio`."""

    @property
    def AsyncioClient(self) -> Callable[..., ClientType_co]:
        """A class that only the module's ``.pyi`` has. Its methods return futures."""


class BlockingStub(Protocol[ClientType_co]):
    """The module of a service, for clients of :mod:`rpc.blocking`."""

    @property
    def BlockingClient(self) -> Callable[..., ClientType_co]:
        """A class that only the module's ``.pyi`` has. Its methods return results."""
