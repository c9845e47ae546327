"""The embedded server's certificate: for these names, private, kept, renewed in time."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from peer.cli.local_server.tls import Certificate, ensure_certificate
from signaling.tls import server_context

NAMES = ("192.168.1.5", "127.0.0.1", "localhost", "desk.local")
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def context(made: Certificate) -> ssl.SSLContext:
    """Settings for a server with this certificate; fails if it does not belong to the key."""
    return server_context(made.certificate, made.key)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_certificate_covers_the_names_and_addresses(tmp_path: Path) -> None:
    made = ensure_certificate(tmp_path / "tls", NAMES)
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == [
        "192.168.1.5",
        "127.0.0.1",
    ]
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "desk.local"]
    assert made.names == NAMES


def test_key_and_folder_are_the_owners_alone(tmp_path: Path) -> None:
    made = ensure_certificate(tmp_path / "tls", NAMES)
    assert mode(made.key) == 0o600
    assert mode(tmp_path / "tls") == 0o700
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == [
        "certificate.pem",
        "key.pem",
    ]


def test_certificate_is_kept_from_run_to_run(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, NAMES, now=NOW)
    again = ensure_certificate(tmp_path, NAMES[:2], now=NOW + datetime.timedelta(days=300))
    assert again.fingerprint == first.fingerprint


def test_new_address_makes_a_new_certificate_that_still_covers_the_old(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, NAMES, now=NOW)
    second = ensure_certificate(tmp_path, ["10.0.0.9"], now=NOW)
    assert second.fingerprint != first.fingerprint
    assert set(second.names) == {"10.0.0.9", *NAMES}
    assert ensure_certificate(tmp_path, NAMES, now=NOW).fingerprint == second.fingerprint


def test_certificate_is_renewed_before_it_runs_out(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, NAMES, now=NOW)
    later = ensure_certificate(tmp_path, NAMES, now=NOW + datetime.timedelta(days=392))
    assert later.fingerprint != first.fingerprint


@pytest.mark.parametrize("broken", ["certificate.pem", "key.pem"])
def test_damaged_file_is_replaced(tmp_path: Path, broken: str) -> None:
    ensure_certificate(tmp_path, NAMES)
    (tmp_path / broken).write_text("garbage")
    made = ensure_certificate(tmp_path, NAMES)
    context(made)


def test_certificate_of_another_key_is_replaced(tmp_path: Path) -> None:
    ensure_certificate(tmp_path / "a", NAMES)
    ensure_certificate(tmp_path / "b", NAMES)
    (tmp_path / "a" / "key.pem").write_bytes((tmp_path / "b" / "key.pem").read_bytes())
    context(ensure_certificate(tmp_path / "a", NAMES))


async def test_client_that_trusts_the_certificate_completes_a_handshake(tmp_path: Path) -> None:
    made = ensure_certificate(tmp_path, NAMES)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context(made))
    async with server:
        trusting = ssl.create_default_context(cafile=str(made.certificate))
        port = server.sockets[0].getsockname()[1]
        for name in ("127.0.0.1", "localhost"):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusting, server_hostname=name
            )
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            await writer.wait_closed()
