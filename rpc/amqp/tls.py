"""TLS as a broker URI describes it (RabbitMQ URI query parameters): certificate and host name checked by default.

Twisted carries the bytes, OpenSSL verifies the chain of certificates, and service_identity compares the names. The
check of the name is part of OpenSSL's own handshake, so nothing of ours is sent to a server that fails it.
"""

from __future__ import annotations

from typing import Any

import attrs
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from rpc.amqp.certificates import load_authorities, load_identity
from rpc.amqp.server_name import ServerName
from rpc.errors import ConfigurationError
from rpc.small_files import state_of
from rpc.uri import BrokerURI

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

AUTHENTICATED = ":!aNULL:!eNULL"
"""Without these suites there is always a certificate to verify, and always encryption (ciphers(1) of OpenSSL)."""

NO_TLS = (
    "the server does not speak TLS on this port: write amqp instead of amqps in the URL, or the broker's port for TLS, "
    "usually 5671"
)


def speaks_no_tls(error: BaseException | None) -> bool:
    """Return whether a connection has ended because the server has answered something else than TLS.

    OpenSSL's reason for it is SSL_R_WRONG_VERSION_NUMBER, for AMQP and HTTP alike.
    """
    return isinstance(error, SSL.Error) and "wrong version number" in str(error)


class ClientTLS:
    """Makes handshakes with the servers of a URI. Reads the certificate files once, when it is made."""

    def __init__(self, uri: BrokerURI) -> None:
        """:raises ConfigurationError: a certificate or key file cannot be read or used, or no cipher is left."""
        self._server_name = uri.server_name_indication
        self._verify = uri.verify
        self._read_from = _files(uri)
        self._context = _context(uri)

    def is_current(self, uri: BrokerURI) -> bool:
        """Return whether TLS to `uri` is still as when the files were read."""
        return self._read_from == _files(uri)

    def handshake_with(self, host: str) -> Handshake:
        """Return a handshake with a server that must be `host`, or have the ``server_name_indication`` of the URI.

        :raises BrokerUnreachable: no certificate can have this name.
        """
        return Handshake(self._context, ServerName.of(self._server_name or host), self._verify)


@implementer(IOpenSSLClientConnectionCreator)
class Handshake:
    """One handshake with one server.

    :ivar problem: why the server was refused, in words, if it was.
    """

    def __init__(self, context: SSL.Context, name: ServerName, verify: bool) -> None:
        self._context = context
        self._name = name
        self._verify = verify
        self.problem: str | None = None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Return the state of the handshake, for Twisted."""
        connection = SSL.Connection(self._context, None)
        if self._name.indication is not None:
            connection.set_tlsext_host_name(self._name.indication)
        if self._verify:
            connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verified)
        return connection

    def _verified(self, _: SSL.Connection, certificate: crypto.X509, error: int, depth: int, trusted: int) -> bool:
        """Tell OpenSSL whether to go on: called for each certificate of the chain, the server's own last (depth 0).

        pyOpenSSL takes an exception for a refusal. Twisted does not expect one, so none is raised.
        """
        try:
            if not trusted:
                self.problem = _words(error)
            elif depth == 0:
                self.problem = self._name.problem_with(certificate.to_cryptography())
        except Exception as unexpected:
            self.problem = f"the server's certificate cannot be read: {ascii(str(unexpected))[:200]}"
        return bool(trusted) and self.problem is None


def _files(uri: BrokerURI) -> object:
    """Return a value that changes when the TLS of `uri` does: its values, and the states of its files."""
    kind, _, name = (uri.keyfile_password or "").partition(":")
    paths = (uri.cacertfile, uri.certfile, uri.keyfile, name if kind == "file" else None)
    return attrs.evolve(uri, username="", password="", hosts=()), *map(state_of, paths)


def _context(uri: BrokerURI) -> SSL.Context:
    options: dict[str, Any] = {"raiseMinimumTo": VERSIONS[uri.tls_minimum]}
    authorities: Any = ssl.platformTrust()
    if uri.cacertfile is not None:
        found = [ssl.Certificate(certificate) for certificate in load_authorities(uri.cacertfile)]
        authorities = ssl.trustRootFromCertificates(found)
    if uri.verify:
        options["trustRoot"] = authorities
    identity = load_identity(uri)
    if identity is not None:
        options["privateKey"] = identity.key
        options["certificate"] = identity.certificate
        options["extraCertChain"] = list(identity.chain)
    try:
        context: SSL.Context = ssl.CertificateOptions(**options).getContext()
    except (SSL.Error, ValueError, TypeError) as error:  # such as a key that is too short for OpenSSL's security level
        raise ConfigurationError(f"certfile={uri.certfile}: OpenSSL does not take it: {error}") from error
    if uri.ciphers is not None:
        _choose_ciphers(context, uri.ciphers)
    return context


def _choose_ciphers(context: SSL.Context, chosen: str) -> None:
    """Take the suites of TLS 1.2 that OpenSSL finds in `chosen`. Those of TLS 1.3 are not chosen by this list."""
    try:
        context.set_cipher_list(f"{chosen}{AUTHENTICATED}".encode("ascii"))
    except (SSL.Error, UnicodeError):
        raise ConfigurationError(
            f"ciphers={chosen}: OpenSSL finds no cipher suite of TLS 1.2 with encryption and a certificate"
        ) from None


def _words(error: int) -> str:
    """Return OpenSSL's words for a problem of the chain, such as an expired certificate.

    Its error says no more than that verifying has failed, and pyOpenSSL does not offer the rest.
    """
    openssl: Any = SSL
    try:
        text: bytes = openssl._ffi.string(openssl._lib.X509_verify_cert_error_string(error))  # noqa: SLF001
    except AttributeError:  # a later pyOpenSSL may have them elsewhere
        return f"OpenSSL's verify error {error}"
    return text.decode()
