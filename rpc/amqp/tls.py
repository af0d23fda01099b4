"""TLS as a broker URI describes it (RabbitMQ URI query parameters): certificate and host name checked by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from zope.interface import implementer

from rpc.errors import ConfigurationError
from rpc.uri import BrokerURI

PEM_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class ClientTLS:
    """Wraps endpoints in TLS. Reads the certificate files once, when it is made.

    :ivar last: the connection that was made last, to a server whose certificate is verified.
    """

    def __init__(self, uri: BrokerURI) -> None:
        """:raises ConfigurationError: a certificate file cannot be read or is not PEM."""
        self._server_name = uri.server_name_indication
        self._verify = uri.verify
        self._certificate = _own_certificate(uri.certfile, uri.keyfile)
        self._trust_root = _authorities(uri.cacertfile)
        self.last: SSL.Connection | None = None

    def wrap(self, endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
        """Return an endpoint that speaks TLS over `endpoint`, to a server that must be `host`."""
        name = self._server_name or host
        creator: IOpenSSLClientConnectionCreator
        if self._verify:
            creator = ssl.optionsForClientTLS(name, trustRoot=self._trust_root, clientCertificate=self._certificate)
            creator = _Remembering(creator, self)
        else:
            creator = _Unverified(name, self._certificate)
        self.last = None
        endpoint_with_tls: IStreamClientEndpoint = wrapClientTLS(creator, endpoint)
        return endpoint_with_tls

    @property
    def problem(self) -> str | None:
        """OpenSSL's words for what was wrong with the certificate of the last server; ``None`` when nothing was.

        OpenSSL's error says no more than that verifying has failed, and pyOpenSSL does not offer the rest.
        """
        if self.last is None:
            return None
        try:
            openssl: Any = SSL
            code = openssl._lib.SSL_get_verify_result(self.last._ssl)
            words: bytes = openssl._ffi.string(openssl._lib.X509_verify_cert_error_string(code))
        except AttributeError:  # a later pyOpenSSL may have them elsewhere
            return None
        return words.decode() if code else None


@implementer(IOpenSSLClientConnectionCreator)
class _Remembering:
    """TLS as another creator has it, whose last connection can be asked why it was refused."""

    def __init__(self, creator: IOpenSSLClientConnectionCreator, tls: ClientTLS) -> None:
        self._creator = creator
        self._tls = tls

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection: SSL.Connection = self._creator.clientConnectionForTLS(tlsProtocol)
        self._tls.last = connection
        return connection


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS to whoever answers: ``verify=verify_none``, for tests and for those who know why."""

    def __init__(self, server_name: str, certificate: ssl.PrivateCertificate | None) -> None:
        self._server_name = server_name
        options = ssl.CertificateOptions(verify=False) if certificate is None else certificate.options()
        self._context = options.getContext()

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(self._server_name.encode("idna"))
        return connection


def _authorities(cacertfile: str | None) -> Any:
    if cacertfile is None:
        return ssl.platformTrust()
    parts = _read("cacertfile", cacertfile).split(PEM_CERTIFICATE)[1:]
    if not parts:
        raise ConfigurationError(f"cacertfile={cacertfile}: holds no PEM certificate")
    return ssl.trustRootFromCertificates(
        [_load_pem("cacertfile", cacertfile, ssl.Certificate, PEM_CERTIFICATE + part) for part in parts]
    )


def _own_certificate(certfile: str | None, keyfile: str | None) -> Any:
    if certfile is None:
        return None
    pem = _read("certfile", certfile) + (_read("keyfile", keyfile) if keyfile else b"")
    return _load_pem("certfile", certfile, ssl.PrivateCertificate, pem)


def _read(parameter: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{parameter}={path}: {error.strerror}") from error


def _load_pem(parameter: str, path: str, kind: Any, pem: bytes) -> Any:
    try:
        return kind.loadPEM(pem)
    except (crypto.Error, ValueError) as error:
        raise ConfigurationError(f"{parameter}={path}: not PEM, or the key does not fit: {error}") from error
