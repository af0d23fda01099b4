"""The base of the clients of ``rpc.aio`` and ``rpc.blocking``: each adapts a client of Twisted."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from inspect import Signature
from typing import TYPE_CHECKING, Any, ClassVar

from rpc.client.options import Options
from rpc.client.stub_client import Client

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing_extensions import Unpack


class MethodAdapter(partial[Any]):
    """A method of a client. A partial adds no Python frame to a call. It has the attributes that help() reads.

    :cvar package: has the ``with_reply`` for it.
    """

    __name__: str
    __signature__: Signature
    package: ClassVar[str]


class ClientAdapter:
    """A client whose methods call those of a client of Twisted."""

    def _below(self) -> Client | None:
        """Return the client of Twisted; ``None`` while this one is copied."""
        raise NotImplementedError

    def _make_method(self, name: str) -> MethodAdapter:
        """Return a method, which the client of Twisted has."""
        raise NotImplementedError

    def __replace__(self, **options: Unpack[Options]) -> ClientAdapter:
        """Return a client with other options, as :func:`copy.replace` does (Python 3.13)."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> MethodAdapter:
        """Make a method when it is first asked for."""
        client = self._below()
        if client is None:
            raise AttributeError(name)
        below = getattr(client, name)
        method = self.__dict__[name] = self._make_method(name)
        method.__name__ = below.__name__
        method.__doc__ = below.__doc__
        method.__signature__ = below.__signature__
        return method

    def __dir__(self) -> Iterable[str]:
        return {*super().__dir__(), *dir(self._below())}

    def __repr__(self) -> str:
        return repr(self._below())
