"""A broker's URI, read strictly: each mistake is an error that names it, and its password is never shown.

The form is RabbitMQ's URI specification and query parameters, with several hosts allowed::

    amqp://user:password@host1,host2:5673,[::1]:5674/vhost?heartbeat=10

Names and values may be percent-encoded, and must be where they hold one of ``:/?#[]@,`` or a blank.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import quote

import attrs

from rpc.errors import InvalidURI
from rpc.uri_parameters import decoded, read_parameters

PORTS = {"amqp": 5672, "amqps": 5671}
DEFAULT_HEARTBEAT = 20
DEFAULT_CONNECTION_TIMEOUT = 10.0
DEFAULT_CHANNEL_MAX = 2047
DEFAULT_FRAME_MAX = 131072
DEFAULT_SEND_BUFFER_MAX = 32 * 1024 * 1024

_NO_HOST_NAME = "a host holds a character that no host name has"
_FORM = "amqp://user:password@host:5672/vhost"


@attrs.frozen
class BrokerURI:
    """The broker's address, and the login. ``str()`` gives the URI and ``repr()`` the values, without the password.

    :ivar tls: the scheme was ``amqps``.
    :ivar hosts: names or addresses (IPv6 without brackets) and ports, in the order to try them.
    :ivar vhost: the virtual host; ``"/"`` when the URI has none. RabbitMQ's specification reads ``amqp://h/`` as the
        virtual host with the empty name; as most clients do, we take it for none, since no broker has an empty name.
    :ivar heartbeat: seconds to propose; 0 asks for none.
    :ivar connection_timeout: seconds (milliseconds in the URI, as RabbitMQ has it) from connecting to an open
        virtual host.
    :ivar channel_max: highest channel number to propose; 0 is no limit.
    :ivar frame_max: largest frame in bytes to propose; 0 is no limit. Ours, not RabbitMQ's.
    :ivar send_buffer_max: unsent bytes above which the broker counts as blocked, until all are sent; 0 is no limit.
        Ours, not RabbitMQ's.
    :ivar auth_mechanism: ``"PLAIN"`` or ``"EXTERNAL"``.
    :ivar cacertfile: PEM file of the authorities to trust instead of the system's.
    :ivar certfile: PEM file of the client's certificate, and behind it of the authorities between it and the root.
    :ivar keyfile: PEM file of its key; the key is in ``certfile`` when absent.
    :ivar keyfile_password: where the password of an encrypted key is: ``env:NAME``, an environment variable, or
        ``file:PATH``. Never the password itself: URLs are printed.
    :ivar password_file, password_env: the file, or the environment variable, that the password is read from at each
        connection (:func:`rpc.broker_address.current`). :attr:`password` is empty until then. Ours, not RabbitMQ's.
    :ivar verify: check the server's certificate and name (``verify_peer``).
    :ivar tls_minimum: ``"1.2"`` or ``"1.3"``, the lowest version of TLS. Ours, not RabbitMQ's.
    :ivar ciphers: the cipher suites of TLS 1.2, as OpenSSL's ciphers(1) has them. Ours, not RabbitMQ's.
    :ivar server_name_indication: the name to ask for and to check instead of the host's.
    :ivar url_file: the file that this URI was read from, if any; it is read anew at each connection.
    """

    hosts: tuple[tuple[str, int], ...]
    tls: bool = False
    username: str = "guest"
    password: str = attrs.field(default="guest", repr=lambda _: "'***'")
    vhost: str = "/"
    heartbeat: int = DEFAULT_HEARTBEAT
    connection_timeout: float = DEFAULT_CONNECTION_TIMEOUT
    channel_max: int = DEFAULT_CHANNEL_MAX
    frame_max: int = DEFAULT_FRAME_MAX
    send_buffer_max: int = DEFAULT_SEND_BUFFER_MAX
    auth_mechanism: str = "PLAIN"
    cacertfile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    keyfile_password: str | None = None
    verify: bool = True
    server_name_indication: str | None = None
    password_file: str | None = None
    password_env: str | None = None
    tls_minimum: str = "1.2"
    ciphers: str | None = None
    url_file: str | None = None

    def __str__(self) -> str:
        scheme = "amqps" if self.tls else "amqp"
        hosts = ",".join(host_and_port(quote(host, safe=":"), port) for host, port in self.hosts)
        return f"{scheme}://{quote(self.username, safe='')}:***@{hosts}/{quote(self.vhost, safe='')}"


def host_and_port(host: str, port: int | str) -> str:
    """Return ``host:port``. An IPv6 address has brackets, which tell it from the port (RFC 3986, 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(uri: str) -> BrokerURI:
    """Return the values of a URI. Without user and password they are guest and guest; with a user alone the password is
    empty.

    :raises InvalidURI: wrong scheme, no host, a bad port or number, an unknown, repeated or unfitting parameter, a
        character that must be percent-encoded. The message shows a correct form, and nothing of the password; neither
        does a traceback that shows the variables of this module's functions.
    """
    try:
        return _parsed(uri)
    except InvalidURI as error:
        problem = str(error)
    del uri  # and the frames of _parsed are gone, with the parts of the URI in their variables
    raise InvalidURI(problem)


def _parsed(uri: str) -> BrokerURI:
    if not isinstance(uri, str):  # not quoted: bytes may hold the password
        raise InvalidURI(f"a broker's URI is text such as {_FORM}, not {type(uri).__name__}")
    scheme, separator, rest = uri.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in PORTS:
        raise InvalidURI(f"a broker's URI has the scheme amqp or amqps, as in {_FORM}")
    if re.search(r"[\s\x00-\x1f\x7f]", rest):
        raise InvalidURI("the URI holds a blank or a control character: write a blank as %20")
    if re.search(r"[\ud800-\udfff]", rest):
        raise InvalidURI("the URI is not UTF-8")
    authority, path, query = _split(rest)
    login, _, hosts = authority.rpartition("@")
    values: dict[str, Any] = {"tls": scheme == "amqps", "hosts": _hosts(hosts, PORTS[scheme])}
    colon = ""
    if login:
        username, colon, password = login.partition(":")
        values["username"] = decoded(username, "user")
        values["password"] = decoded(password, "password")
    if path:
        values["vhost"] = _virtual_host(path)
    values.update(read_parameters(query, values["tls"]))
    _check_password_source(values, has_password=bool(colon))
    return BrokerURI(**values)


def _check_password_source(values: dict[str, Any], has_password: bool) -> None:
    """Refuse two places for the password; without one in the URI, empty the default."""
    sources = [name for name in ("password_file", "password_env") if name in values]
    if not sources:
        return
    if len(sources) > 1 or has_password:
        raise InvalidURI(f"the password has two places: leave {sources[0]} out, or the other one")
    if values.get("auth_mechanism") == "EXTERNAL":
        raise InvalidURI(f"parameter {sources[0]} is never read with auth_mechanism=external: leave one of them out")
    values["password"] = ""


_LOGIN_OF_URL = re.compile(r"(?is)(?<![a-z0-9+.-])([a-z0-9+.-]+://)(?:.*@|.*)")
"""It begins where a scheme can begin, so that a long word takes linear time."""


def hide_logins(text: str) -> str:
    """Return `text`, in which no URL has a login any more: for messages that quote a user's words.

    The scheme may be misspelt. The last ``@`` ends the login: a password may have any character, also blanks, quotes
    and line ends. Without an ``@``, all that follows is hidden: a URL's ``host:port`` may be user and password.
    """
    return _LOGIN_OF_URL.sub(lambda found: f"{found[1]}***{'@' if found[0].endswith('@') else ''}", text)


def _split(rest: str) -> tuple[str, str, str]:
    """Return authority, path without its first slash, and query.

    An ``@`` in a wrong place means that the password holds a separator, and that a message about another part would
    quote the password. So this check comes first, and its message quotes nothing.
    """
    before_query, _, query = rest.partition("?")
    authority, _, path = before_query.partition("/")
    if "#" in rest or "@" in path or "@" in query or authority.count("@") > 1:
        raise InvalidURI(
            "a '#', or an '@' that does not stand before the host: in user, password, virtual host and parameters "
            "write @ as %40, / as %2F, ? as %3F and # as %23"
        )
    return authority, path, query


def _hosts(text: str, default_port: int) -> tuple[tuple[str, int], ...]:
    return tuple(_host(part, default_port) for part in text.split(","))


def _host(text: str, default_port: int) -> tuple[str, int]:
    # Neither host nor port is quoted: in guest:secret, which lacks its @host, the port is the password.
    if text.startswith("["):
        address, closed, after = text[1:].partition("]")
        host = decoded(address, "IPv6 address")
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            closed = ""
        if not closed or (after and not after.startswith(":")):
            raise InvalidURI("the brackets hold no IPv6 address, or are not followed by a port: write [::1]:5672")
        port = after[1:] if after else None
    else:
        name, colon, number = text.partition(":")
        if ":" in number:
            raise InvalidURI("a host has more than one ':': write an IPv6 address in brackets, as in [::1]:5672")
        host = decoded(name, "host")
        port = number if colon else None
        if ":" in host:
            raise InvalidURI(_NO_HOST_NAME)
    if not host:
        raise InvalidURI(f"a host is missing: write {_FORM}, and commas only between hosts")
    if re.search(r"[\s\x00-\x1f\[\]/?#@,]", host):
        raise InvalidURI(_NO_HOST_NAME)
    if port is None:
        return host, default_port
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise InvalidURI("the port behind a host is no number from 1 to 65535: write host:5672")
    return host, int(port)


def _virtual_host(path: str) -> str:
    if "/" in path:
        raise InvalidURI("the virtual host holds a '/': write it as %2F")
    vhost = decoded(path, "virtual host")
    if len(vhost.encode()) > 255:
        raise InvalidURI("the virtual host is longer than the 255 bytes AMQP has for it")
    return vhost
