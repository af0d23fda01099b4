"""Whether a certificate names the server that was meant, and if not, in words why (RFC 9525). Pure.

The handshake fails unless this module has found the name. Twisted is not relied on: Twisted 26.10 logs a certificate
without subjectAltName, or with a name that service_identity does not take, and lets the handshake go on.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address

import attrs
import idna
from cryptography import x509
from service_identity import VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from rpc.errors import BrokerUnreachable

_SHOWN_NAMES = 5
_SHOWN_CHARACTERS = 100


@attrs.frozen
class ServerName:
    """The name that a server must have.

    :ivar text: a host name in its ASCII form, or an address.
    :ivar is_address: it is an address, which only an iPAddress of a certificate can match (RFC 9525, section 6.5).
    """

    text: str
    is_address: bool

    @classmethod
    def of(cls, name: str) -> ServerName:
        """Return the name of a host of a URL, or of ``server_name_indication``.

        :raises BrokerUnreachable: no certificate can have this name.
        """
        address = _address(name)
        if address is not None:
            return cls(str(address), is_address=True)
        try:
            # The encoding that Twisted looks up: IDNA 2008. The codec then checks the lengths of the labels.
            text = name.rstrip(".") if name.isascii() else idna.encode(name).decode("ascii")
            text = text.encode("idna").decode("ascii")
            if not re.fullmatch("[A-Za-z0-9._-]+", text):
                raise UnicodeError("it holds a character that no host name has")
            return cls(text, is_address=False)
        except UnicodeError as error:  # idna's errors are among them
            words = f"TLS to {name!r}: not a host name that a certificate can have: {error}"
            raise BrokerUnreachable(words) from None

    @property
    def indication(self) -> bytes | None:
        """The name to ask the server for; ``None`` for an address, which must not be sent (RFC 6066, section 3)."""
        return None if self.is_address else self.text.encode("ascii")

    def problem_with(self, certificate: x509.Certificate) -> str | None:
        """Return why `certificate` is not one of this server; ``None`` when it is."""
        try:
            names = _names(certificate)
            # Before service_identity is asked, whose error does not tell these cases apart.
            if names is None:
                return (
                    "the server's certificate has no subjectAltName, so it names no host: its common name does not "
                    "count (RFC 9525)"
                )
            if not names:
                return "the subjectAltName of the server's certificate names neither a host nor an address"
            return self._problem_with_names(certificate, names)
        except Exception as error:  # a peer chose the certificate's bytes: every error is a refusal
            shown = ascii(str(error))[: 2 * _SHOWN_CHARACTERS]
            return f"the names in the server's certificate cannot be used: {shown}"

    def _problem_with_names(self, certificate: x509.Certificate, names: list[str]) -> str | None:
        verify = verify_certificate_ip_address if self.is_address else verify_certificate_hostname
        try:
            verify(certificate, self.text)
        except VerificationError:
            return self._mismatch(names)
        return None

    def _mismatch(self, names: list[str]) -> str:
        shown = ", ".join(ascii(name[:_SHOWN_CHARACTERS]) for name in names[:_SHOWN_NAMES])
        if len(names) > _SHOWN_NAMES:
            shown += f" and {len(names) - _SHOWN_NAMES} more"
        wanted = f"the address {self.text}" if self.is_address else repr(self.text)
        return f"the server's certificate names {shown}, not {wanted}{self._hint(names)}"

    def _hint(self, names: list[str]) -> str:
        if self.is_address:
            return ": give its name in the URL, or as server_name_indication"
        if any(name.startswith("*.") for name in names):
            return ": a * stands for exactly one label"
        return ""


def _names(certificate: x509.Certificate) -> list[str] | None:
    """Return the host names and addresses of a certificate; ``None`` when it has no subjectAltName."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    hosts = alternatives.get_values_for_type(x509.DNSName)
    return [*hosts, *map(str, alternatives.get_values_for_type(x509.IPAddress))]


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])  # no certificate has the zone of fe80::1%eth0
    except ValueError:
        return None
