"""Certificates and keys from PEM files, as a broker URI names them.

Every error names the parameter and the file, and no error shows a password. OpenSSL asks at the terminal for the
password of an encrypted key; a daemon has none, so the key is decrypted here.
"""

from __future__ import annotations

import os
from typing import Any

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from OpenSSL import crypto

from rpc.errors import ConfigurationError
from rpc.small_files import read_file, read_text
from rpc.uri import BrokerURI


@attrs.frozen
class Identity:
    """A client's own certificate.

    :ivar chain: the certificates of the authorities between it and the root, in the order of the file. A server that
        trusts the root alone needs them (RFC 8446, section 4.4.2).
    """

    key: crypto.PKey
    certificate: crypto.X509
    chain: tuple[crypto.X509, ...]


def load_authorities(path: str) -> list[crypto.X509]:
    """Return the certificates of a ``cacertfile``.

    :raises ConfigurationError: the file cannot be read, or holds no PEM certificate.
    """
    return _certificates("cacertfile", path)


def load_identity(uri: BrokerURI) -> Identity | None:
    """Return the certificate and key that `uri` names; ``None`` when it names none.

    :raises ConfigurationError: a file cannot be read or is not PEM, the key does not fit the certificate, or its
        password is missing or wrong.
    """
    if uri.certfile is None:
        return None
    certificate, *chain = _certificates("certfile", uri.certfile)
    key = _key(uri, uri.certfile)
    try:
        fits = _public_bytes(key.public_key()) == _public_bytes(certificate.to_cryptography().public_key())
        own = crypto.PKey.from_cryptography_key(key)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:  # such as a key for another purpose: X25519, DH
        raise ConfigurationError(f"certfile={uri.certfile}: TLS has no such key: {error}") from error
    if not fits:
        raise ConfigurationError(
            f"certfile={uri.certfile}: the key in {uri.keyfile or uri.certfile} does not fit its first certificate"
        )
    return Identity(own, certificate, tuple(chain))


def _public_bytes(public_key: Any) -> bytes:
    encoded: bytes = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _certificates(parameter: str, path: str) -> list[crypto.X509]:
    pem = read_file(parameter, path)
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ConfigurationError(f"{parameter}={path}: holds no PEM certificate: {error}") from error
    return [crypto.X509.from_cryptography(certificate) for certificate in found]


def _key(uri: BrokerURI, certfile: str) -> Any:
    parameter, path = ("keyfile", uri.keyfile) if uri.keyfile else ("certfile", certfile)
    pem = read_file(parameter, path)
    password = _password(uri.keyfile_password) if uri.keyfile_password else None
    try:
        key = load_pem_private_key(pem, password)
    except TypeError:  # a password for a plain key, or none for an encrypted one
        if password is None:
            words = "the key is encrypted: add keyfile_password=env:NAME or keyfile_password=file:PATH"
        else:
            words = "the key is not encrypted: leave keyfile_password out"
        raise ConfigurationError(f"{parameter}={path}: {words}") from None
    except (ValueError, UnsupportedAlgorithm):  # its text may quote parts of the file
        words = "no PEM key" if password is None else "no PEM key, or keyfile_password is not its password"
        raise ConfigurationError(f"{parameter}={path}: {words}") from None
    if not hasattr(key, "public_key"):
        raise ConfigurationError(f"{parameter}={path}: no key that a certificate can have")
    return key


def _password(reference: str) -> bytes:
    kind, _, name = reference.partition(":")
    if kind == "file":
        return read_text("keyfile_password=file", name).encode()
    value = os.environ.get(name)
    if value is None:
        raise ConfigurationError(f"keyfile_password={reference}: there is no environment variable {name}")
    return value.encode()
