"""TLS as a broker URI describes it (RabbitMQ URI query parameters): certificate and host name checked by default."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from zope.interface import implementer

from rpc.amqp.certificates import load_authorities, load_identity
from rpc.errors import BrokerUnreachable
from rpc.uri import BrokerURI


class ClientTLS:
    """Wraps endpoints in TLS. Reads the certificate files once, when it is made.

    :ivar last: the connection that was made last to a server whose certificate is verified.
    """

    def __init__(self, uri: BrokerURI) -> None:
        """:raises ConfigurationError: a certificate or key file cannot be read or used."""
        self._server_name = uri.server_name_indication
        self._verify = uri.verify
        self._trust_root: Any = ssl.platformTrust()
        if uri.cacertfile is not None:
            authorities = [ssl.Certificate(certificate) for certificate in load_authorities(uri.cacertfile)]
            self._trust_root = ssl.trustRootFromCertificates(authorities)
        identity = load_identity(uri)
        self._own: dict[str, Any] = {}
        if identity is not None:
            self._own = {
                "privateKey": identity.key,
                "certificate": identity.certificate,
                "extraCertChain": list(identity.chain),
            }
        self.last: SSL.Connection | None = None

    def wrap(self, endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
        """Return an endpoint that speaks TLS over `endpoint`, to a server that must be `host`.

        :raises BrokerUnreachable: the name cannot stand in a certificate.
        """
        self.last = None
        wrapped: IStreamClientEndpoint = wrapClientTLS(self.creator(host), endpoint)
        return wrapped

    def creator(self, host: str) -> IOpenSSLClientConnectionCreator:
        """Return the maker of TLS connections to a server that must be `host`.

        :raises BrokerUnreachable: the name cannot stand in a certificate.
        """
        name = self._server_name or host
        indicated = _server_name_indication(name)
        if not self._verify:
            return _Unverified(indicated, ssl.CertificateOptions(verify=False, **self._own))
        verifying = ssl.optionsForClientTLS(name, trustRoot=self._trust_root, extraCertificateOptions=dict(self._own))
        return _Remembering(verifying, self)

    @property
    def problem(self) -> str | None:
        """OpenSSL's words for the problem with the certificate of the last server; ``None`` when there was none.

        OpenSSL's error says no more than that verifying has failed, and pyOpenSSL does not offer the rest. A verify
        callback would be told, but Twisted checks the host name in the only one that a connection can have.
        """
        if self.last is None:
            return None
        openssl: Any = SSL
        try:
            library, ffi, session = openssl._lib, openssl._ffi, self.last._ssl  # noqa: SLF001
            code = library.SSL_get_verify_result(session)
            words: bytes = ffi.string(library.X509_verify_cert_error_string(code))
        except AttributeError:  # a later pyOpenSSL may have them elsewhere
            return None
        return words.decode() if code else None


def _server_name_indication(name: str) -> bytes | None:
    """Return the name to ask for; ``None`` for an address, which must not be sent (RFC 6066, section 3)."""
    if isIPAddress(name) or isIPv6Address(name):
        return None
    try:
        return name.encode("idna")
    except UnicodeError as error:
        raise BrokerUnreachable(f"TLS to {name!r}: not a host name that a certificate can have: {error}") from None


@implementer(IOpenSSLClientConnectionCreator)
class _Remembering:
    """Makes the connections of another creator, and keeps the last one to be asked why it was refused."""

    def __init__(self, creator: IOpenSSLClientConnectionCreator, tls: ClientTLS) -> None:
        self._creator = creator
        self._tls = tls

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection: SSL.Connection = self._creator.clientConnectionForTLS(tlsProtocol)
        self._tls.last = connection
        return connection


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Makes connections to any server: ``verify=verify_none``, for tests and closed networks."""

    def __init__(self, server_name: bytes | None, options: Any) -> None:
        self._server_name = server_name
        self._context = options.getContext()

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if self._server_name is not None:
            connection.set_tlsext_host_name(self._server_name)
        return connection
