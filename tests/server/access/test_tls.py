"""TLS with real certificates: https, wss, and a renewal under an open stream."""

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from asr.errors import ConfigError
from server.access.tls import Certificates
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, eventually, pcm, running, transcript, until_closed

pytestmark = pytest.mark.slow


def certificate(folder: Path, name: str, password: bytes | None = None) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    coded = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, coded))
    return files


def trusting(*certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for file in certificates:
        context.load_verify_locations(file)
    return context


def put(source: Path, place: Path) -> None:
    fresh = place.with_suffix(".new")
    fresh.write_bytes(source.read_bytes())
    os.replace(fresh, place)


def test_a_renewed_certificate_is_taken_while_a_stream_is_open(tmp_path: Path) -> None:
    """The certificate first, then its key, as renewals write them: what does not fit together is not taken."""
    first, second = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    cert, key = tmp_path / "served.pem", tmp_path / "served.key"
    put(first[0], cert)
    put(first[1], key)
    with running(ScriptedEngine(), tls_cert=str(cert), tls_key=str(key)) as server:
        assert server.url.startswith("https://")

        def shows(file: Path) -> bool:
            try:
                return httpx.get(server.url + "/healthz", verify=trusting(file)).status_code == 200
            except httpx.ConnectError:
                return False

        assert shows(first[0])
        assert not shows(second[0])
        with server.listen(ssl=trusting(first[0])) as socket:
            socket.send(pcm(3.0))  # more than one read, more than one record of TLS
            put(second[0], cert)
            certificates = server.server._certificates
            assert certificates
            certificates.reload()  # now, before the key has come
            assert shows(first[0])
            put(second[1], key)
            eventually(lambda: shows(second[0]))
            assert not shows(first[0])
            socket.send(pcm(1.0))
            socket.send(CLOSE)
            messages, code = until_closed(socket)
        assert (transcript(messages), code) == (words(8), 1000)


def test_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    """TLS 1.2 or newer (RFC 8996)."""
    cert, key = certificate(tmp_path, "one")
    assert Certificates(cert, key).context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_files_that_cannot_be_used_are_refused_in_a_sentence(tmp_path: Path) -> None:
    """Missing, swapped, of two certificates, empty, with a password: nothing asks on the terminal."""
    (cert, key), (_, other) = certificate(tmp_path, "one"), certificate(tmp_path, "two")
    _, locked = certificate(tmp_path, "locked", b"secret")
    empty = tmp_path / "empty.pem"
    empty.touch()
    missing = tmp_path / "no.pem"
    for pair in ((missing, key), (cert, missing), (key, cert), (cert, other), (empty, key), (cert, locked)):
        with pytest.raises(ConfigError, match="cannot use the certificate"):
            Certificates(*pair)
