"""From what a user gives to the broker's address and login: a URL, the environment, files.

A URL may name the place of its password instead of the password: ``password_file`` or ``password_env``. Without a URL,
the environment variable ``RPC_BROKER`` has it, or ``RPC_BROKER_FILE`` names a file that has it.

Files are read anew for each connection (:func:`current`), so a changed password needs no restart.
"""

from __future__ import annotations

import enum
import os
from typing import Final

import attrs

from rpc.errors import ConfigurationError, InvalidURI
from rpc.small_files import read_text
from rpc.uri import BrokerURI, parse
from rpc.uri_parameters import PLAIN_REFUSED

URL_VARIABLE: Final = "RPC_BROKER"
FILE_VARIABLE: Final = "RPC_BROKER_FILE"
TLS_VARIABLE: Final = "RPC_TLS"

DEFAULT_BROKER: Final = "amqp://localhost"


class Origin(enum.Enum):
    """Stands for "no URL was given: look in the environment". ``None`` does not: a caller may pass it by mistake."""

    ENVIRONMENT = "RPC_BROKER, or the file that RPC_BROKER_FILE names, or amqp://localhost"


def resolve(url: str | BrokerURI | Origin) -> BrokerURI:
    """Return the broker's address and login, with the password as it is now.

    :raises InvalidURI: the URL, also one of the environment or of a file, cannot be understood, or is a plain one that
        ``RPC_TLS=required`` refuses.
    :raises ConfigurationError: the environment has two URLs, or a file or variable cannot be read.
    """
    if isinstance(url, BrokerURI):
        return current(url)
    return current(_from_environment() if isinstance(url, Origin) else parse(url))


def current(uri: BrokerURI) -> BrokerURI:
    """Return `uri` with the values that its files have now. The files are small, and read while the reactor waits.

    :raises ConfigurationError: as :func:`resolve`.
    """
    if uri.url_file is not None:
        uri = _from_file(uri.url_file)
    if uri.password_file is not None:
        uri = attrs.evolve(uri, password=_password("password_file", uri.password_file))
    elif uri.password_env is not None:
        uri = attrs.evolve(uri, password=_variable("password_env", uri.password_env))
    _check_tls(uri)
    return uri


def may_change(uri: BrokerURI) -> bool:
    """Return whether the password comes from a file."""
    return uri.password_file is not None or uri.url_file is not None


def _from_environment() -> BrokerURI:
    url, path = os.environ.get(URL_VARIABLE), os.environ.get(FILE_VARIABLE)
    if url and path:
        raise ConfigurationError(f"{URL_VARIABLE} and {FILE_VARIABLE} are both set: unset one of them")
    if path:
        return _from_file(path)
    return _parse_named(url, URL_VARIABLE) if url else parse(DEFAULT_BROKER)


def _from_file(path: str) -> BrokerURI:
    named = f"{FILE_VARIABLE}={path}"
    return attrs.evolve(_parse_named(read_text(FILE_VARIABLE, path), named), url_file=path)


def _parse_named(url: str, origin: str) -> BrokerURI:
    try:
        return parse(url)
    except InvalidURI as error:
        problem = f"{origin}: {error}"
    del url  # as in parse: no traceback shows it
    raise InvalidURI(problem)


def _password(option: str, path: str) -> str:
    password = read_text(option, path)
    if "\0" in password:
        del password
        raise ConfigurationError(f"{option}={path}: holds a zero byte, which no login can have (RFC 4616)")
    return password


def _variable(option: str, name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigurationError(f"{option}={name}: there is no environment variable {name}, or it is empty")
    return value


def _check_tls(uri: BrokerURI) -> None:
    wanted = os.environ.get(TLS_VARIABLE)
    if wanted not in (None, "", "required"):
        raise ConfigurationError(f"{TLS_VARIABLE}={wanted}: must be required, or not be set")
    if wanted and not uri.tls:
        raise InvalidURI(PLAIN_REFUSED.format(f"{TLS_VARIABLE}=required"))
