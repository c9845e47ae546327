"""The self-signed certificate of the embedded server.

A browser allows WebCrypto and OPFS only on https:// (or localhost), so a page opened from another
machine of the LAN needs TLS, and no authority signs certificates for 192.168.1.5. The certificate
is kept, so that a browser asks for an exception once. The connection between people is protected by
the code, not by this certificate.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Certificate", "ensure_certificate"]

_LIFE = datetime.timedelta(days=397)
"""Longest validity that browsers accept, on some systems for self-signed certificates, too."""
_RENEW = datetime.timedelta(days=7)
_REMEMBERED = 24
"""Names that a renewed certificate takes over from its predecessor, newest first."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key on disk."""

    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256 in the form of browsers: `AB:CD:...`."""
    names: tuple[str, ...]
    """Host names and IP addresses that it covers."""


def ensure_certificate(
    folder: Path, names: Sequence[str], *, now: datetime.datetime | None = None
) -> Certificate:
    """Return the certificate of a folder; make or renew it if it lacks a name or expires.

    Args:
        folder: Its folder; made with mode 0700 if missing.
        names: Host names and IP addresses to cover.
        now: Current time in UTC, aware; for tests.

    Raises:
        OSError: The folder cannot be written.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, key_path = folder / "certificate.pem", folder / "key.pem"
    known: tuple[str, ...] = ()
    key: ec.EllipticCurvePrivateKey | None = None
    try:
        key = _load_key(key_path)
        old = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        pass  # Missing, damaged or of another kind: make a new one.
    else:
        known = _names_of(old)
        belongs = old.public_key() == key.public_key()
        fresh = old.not_valid_before_utc <= now < old.not_valid_after_utc - _RENEW
        if belongs and fresh and set(names) <= set(known):
            return Certificate(path, key_path, _fingerprint(old), known)
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1())
        _write(
            key_path,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
    every = tuple(dict.fromkeys([*names, *known]))[: max(_REMEMBERED, len(names))]
    made = _make(key, every, now)
    _write(path, made.public_bytes(serialization.Encoding.PEM))
    return Certificate(path, key_path, _fingerprint(made), every)


def _make(
    key: ec.EllipticCurvePrivateKey, names: Iterable[str], now: datetime.datetime
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Peerline on this local network")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # the browser's clock may be behind
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(key, hashes.SHA256())
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    # Each general name carries a str, or an address that prints as one.
    return tuple(str(name.value) for name in extension.value)


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic curve key")
    return key


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically, readable by its owner only."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)
