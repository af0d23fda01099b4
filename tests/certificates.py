"""Certificates for tests that trustme does not make: with any subjectAltName, or none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

Names = Sequence[x509.GeneralName]


def issue(authority: trustme.CA, names: Names | None, extension: x509.ExtensionType | None = None) -> bytes:
    """Return the PEM of a key, and of its certificate that `authority` has signed. Its common name is localhost.

    :param names: in the subjectAltName; ``None``: the certificate has none.
    :param extension: another one, which stands in for the subjectAltName.
    """
    signer = load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)


def malformed_names() -> x509.ExtensionType:
    """A subjectAltName that is no DER."""
    return x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x05\x82\x10abc")
