"""Definitions of AMQP as XML, because txAMQP ships none: 0-9-1, 0-9 and 0-8, each with RabbitMQ's extensions.

The files are read as package data, so they are found in a checkout, an installed wheel and a zipped application alike.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

import attrs
import txamqp.spec

from rpc.amqp.codec.frames import PROTOCOL_HEADER
from rpc.errors import ConfigurationError

SPEC_FILE = "amqp0-9-1.xml"

SHIPPED: Mapping[str, str] = MappingProxyType({"0-9-1": SPEC_FILE, "0-9": "amqp0-9.xml", "0-8": "amqp0-8.xml"})
"""Our own definitions, by version."""

VERSIONS: Mapping[tuple[int, int, int], tuple[str, bytes]] = MappingProxyType(
    {
        (0, 9, 1): ("AMQP 0-9-1", PROTOCOL_HEADER),
        (0, 9, 0): ("AMQP 0-9", b"AMQP\x01\x01\x00\x09"),
        (8, 0, 0): ("AMQP 0-8", b"AMQP\x01\x01\x08\x00"),
    }
)
"""By major, minor and revision: the name, and the first bytes of a connection (AMQP 0-9-1 and 0-8, section 4.2.2;
AMQP 0-9 calls itself 0.9, and 0-8 calls itself 8.0).
"""

OWN_PLANE: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "basic.publish": (60, 40),
        "basic.return": (60, 50),
        "basic.deliver": (60, 60),
        "basic.ack": (60, 80),
        "basic.reject": (60, 90),
        "channel.close-ok": (20, 41),
    }
)
"""The methods that are packed and read without the definition. They are the same in all three versions."""

ASKED_FOR = (
    *("connection.start", "connection.start-ok", "connection.tune", "connection.tune-ok", "connection.open"),
    *("connection.close", "connection.close-ok", "channel.open", "channel.close", "exchange.declare"),
    *("queue.declare", "queue.bind", "basic.qos", "basic.consume", "basic.cancel"),
)
"""The other methods that every connection needs."""

EXTRAS: Mapping[str, str] = MappingProxyType(
    {"confirm.select": "publisher confirms", "basic.nack": "nacks", "connection.blocked": "notices of alarms"}
)
"""RabbitMQ's extensions that a definition may lack, and the words for them."""


@attrs.frozen(eq=False)
class Definition:
    """One version of AMQP, as a file defines it.

    :ivar spec: what txAMQP has read; treat it as read-only.
    :ivar name: such as ``"AMQP 0-9-1"``.
    :ivar header: the first bytes of a connection.
    :ivar has_confirms: whether the broker can confirm messages (RabbitMQ extension, class confirm).
    """

    spec: txamqp.spec.Spec
    name: str
    header: bytes
    has_confirms: bool = attrs.field(init=False)

    @has_confirms.default
    def _find_confirms(self) -> bool:
        return self.has("confirm.select")

    def has(self, method: str) -> bool:
        """Return whether there is a method of this name, such as ``"basic.nack"``."""
        return self._ids(method) is not None

    def _ids(self, method: str) -> tuple[int, int] | None:
        class_name, _, name = method.partition(".")
        klass = self.spec.classes.byname.get(class_name)
        found = None if klass is None else klass.methods.byname.get(name)
        return None if found is None else (found.klass.id, found.id)

    @property
    def missing(self) -> str:
        """Which of RabbitMQ's extensions there are not, in words; empty: all are there."""
        return ", ".join(words for method, words in EXTRAS.items() if not self.has(method))

    def problem(self) -> str | None:
        """Return why no connection can use the definition; ``None``: one can."""
        lacking = [name for name in (*OWN_PLANE, *ASKED_FOR) if not self.has(name)]
        if lacking:
            return f"it lacks {', '.join(lacking)}"
        for name, ids in OWN_PLANE.items():
            if self._ids(name) != ids:
                return f"{name} must be class {ids[0]}, method {ids[1]}"
        return None


@functools.cache
def _shipped(version: str) -> Definition:
    return _read(resources.files(__name__).joinpath(SHIPPED[version]).read_bytes(), SHIPPED[version])


def _read(text: bytes, name: str) -> Definition:
    """Return a definition.

    :raises Exception: anything, when the file is no definition: txAMQP's loader does not check what it reads.
    """
    root = ElementTree.fromstring(text)  # noqa: S314  # a file of the program's owner, as its modules are
    major, minor, revision = (int(root.get(part) or 0) for part in ("major", "minor", "revision"))
    version = major, minor, revision
    if version not in VERSIONS:
        known = ", ".join(known for known, _ in VERSIONS.values())
        raise ValueError(f"it defines AMQP {'-'.join(map(str, version))}, which is none of {known}")
    return Definition(txamqp.spec.load_string(text, name), *VERSIONS[version])


def load_spec() -> txamqp.spec.Spec:
    """Return the definition of AMQP 0-9-1: one object for the whole process. Treat it as read-only."""
    return _shipped("0-9-1").spec


def load_definition(spec: str | os.PathLike[str] | None) -> Definition:
    """Return the definition that an option ``spec`` names.

    :param spec: the path of an XML file in txAMQP's format, or the version of one of ours, such as ``"0-8"``;
        ``None``: 0-9-1.
    :raises ConfigurationError: the file cannot be read, or does not define what a connection needs.
    """
    if spec is None:
        return _shipped("0-9-1")
    if spec in SHIPPED:
        return _shipped(str(spec))
    remedy = f"give the path of an XML file in txAMQP's format, or {', '.join(map(repr, SHIPPED))}"
    try:
        definition = _read(Path(spec).read_bytes(), str(spec))
    except Exception as error:  # txAMQP's loader raises what it likes
        raise ConfigurationError(
            f"spec={spec!r}: is no definition of AMQP: {type(error).__name__}: {error}; {remedy}"
        ) from error
    problem = definition.problem()
    if problem is not None:
        raise ConfigurationError(f"spec={spec!r}: no connection can use it: {problem}; {remedy}")
    return definition
