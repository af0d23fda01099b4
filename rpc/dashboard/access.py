"""The right to see the page: pure decisions.

On loopback, every user of the machine may, and no other site in their browser. A site can have its name resolved to
127.0.0.1 (DNS rebinding): then the browser takes our page for one of that site, and lets it read ours. Such a request
has the site's name as its host, so only names of the machine itself are let in. Elsewhere a token is needed. With a
token the host may be any: a cookie belongs to one name, so the browser does not send it for another.
"""

from __future__ import annotations

import enum
import hmac
import ipaddress
import re
import secrets
from typing import Final

import attrs

COOKIE: Final = "rpc-dashboard"
"""The cookie's name begins with it; the port follows, because browsers send cookies to all ports of a host."""

SHORTEST_TOKEN: Final = 16
"""Characters of a token that a user chooses."""

_LOCALHOST: Final = "localhost"

_HOST: Final = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::[0-9]+)?")
"""The header ``Host`` (RFC 9110, 7.2)."""


class Verdict(enum.Enum):
    """The decision about a request."""

    ALLOWED = "allowed"
    FOREIGN_HOST = "foreign host"
    """It is addressed to another name than this machine's own."""

    NO_TOKEN = "no token"  # noqa: S105  # the name of a verdict
    """It has neither the token nor a cookie, or wrong ones."""


@attrs.frozen
class Credentials:
    """The proofs in a request.

    :ivar host: the header ``Host``.
    :ivar authorization: the header ``Authorization``.
    :ivar cookie: the value of our cookie.
    """

    host: str
    authorization: str = ""
    cookie: str = ""


class Access:
    """The rule of one dashboard."""

    def __init__(self, token: str | None) -> None:
        """:param token: ``None``: the page is on loopback, and open to all users of the machine."""
        self._token = token
        self._session = secrets.token_urlsafe(32)

    def verdict(self, shown: Credentials) -> Verdict:
        """Return the decision about a request."""
        if self._token is None:
            return Verdict.ALLOWED if is_own_host(shown.host) else Verdict.FOREIGN_HOST
        scheme, _, bearer = shown.authorization.partition(" ")
        if scheme.lower() == "bearer" and self.is_token(bearer.strip()):
            return Verdict.ALLOWED
        return Verdict.ALLOWED if _equal(shown.cookie, self._session) else Verdict.NO_TOKEN

    def is_token(self, text: str) -> bool:
        """Return whether a text is the token. The time that this takes does not depend on the text's content."""
        return self._token is not None and _equal(text, self._token)

    @property
    def session(self) -> str:
        """The value of the cookie, for a browser that has shown the token. It ends with this process."""
        return self._session


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return secrets.token_urlsafe(32)


def is_loopback(interface: str) -> bool:
    """Return whether only this machine reaches an interface."""
    try:
        return interface == _LOCALHOST or ipaddress.ip_address(interface).is_loopback
    except ValueError:
        return False


def is_own_host(host: str) -> bool:
    """Return whether the header ``Host`` names this machine as seen from itself. Any port will do, for tunnels."""
    found = _HOST.fullmatch(host)
    return found is not None and is_loopback((found["address"] or found["name"]).lower())


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
