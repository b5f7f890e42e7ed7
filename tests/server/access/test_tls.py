"""TLS with real certificates: https, wss, and a renewal under an open stream."""

import os
import socket as sockets
import ssl
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from websockets.frames import Frame, Opcode

from asr.errors import ConfigError
from server.access.tls import Certificates
from tests.server.certificates import certificate, trusting
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed

pytestmark = pytest.mark.slow


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


UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
OPENING = UPGRADE.format(path=f"/v1/listen?{RAW}")


def frame(opcode: Opcode, data: bytes = b"") -> bytes:
    return Frame(opcode, data).serialize(mask=True)


SAID: dict[str, bytes] = {
    "nothing": b"",
    "half a head": b"GET / HTT",
    "no HTTP": b"\x16\x03\x01\r\n\r\n",
    "a request": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "two requests": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 2,
    "half an upload": b"POST /v1/listen HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nx",
    "a head too long": b"GET / HTTP/1.1\r\nCookie: " + b"c" * 300_000 + b"\r\n\r\n",
    "no handshake": UPGRADE.format(path="/v1/listen").replace("Key:", "Kex:").encode(),
    "a refused handshake": UPGRADE.format(path="/v1/listen?x=1").encode(),
    "another host": OPENING.replace("127.0.0.1", "evil.example").encode(),
    "an open stream": OPENING.encode(),
    "a finished stream": (OPENING.encode() + frame(Opcode.BINARY, bytes(100)) + frame(Opcode.TEXT, CLOSE.encode())),
    "a closed stream": OPENING.encode() + frame(Opcode.CLOSE),
    "a bad message": OPENING.encode() + frame(Opcode.TEXT, b"{"),
    "no UTF-8": OPENING.encode() + frame(Opcode.TEXT, b"\xff"),
    "a flood of pings": OPENING.encode() + frame(Opcode.PING) * 20_000,
    "a flood of requests": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 300,
}


def leave(socket: ssl.SSLSocket, way: str) -> None:
    """The ways to go: at once, with a farewell of TLS, with a reset, after everything has been read."""
    if way == "all read":
        socket.settimeout(0.5)
        while socket.recv(65_536):
            pass
    if way == "close notify":
        socket.setblocking(False)
        socket.unwrap()
    if way == "reset":
        socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("name", SAID)
def test_no_end_of_a_connection_over_tls_is_a_traceback(
    served: Running, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And each connection ends. asyncio's TLS is lost after a second close, and reads on after the first."""
    port = int(served.url.rpartition(":")[2])
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted.check_hostname, trusted.verify_mode = False, ssl.CERT_NONE
    for way in ("close", "close notify", "reset", "all read"):
        plain = sockets.create_connection(("127.0.0.1", port), 30)
        with trusted.wrap_socket(plain) as secure, suppress(OSError):
            secure.sendall(SAID[name])
            leave(secure, way)
    eventually(lambda: served.metric("asr_open_streams") == 0)
    eventually(lambda: len(served.server._connections) == 0)  # else its address is locked out in the end
    assert httpx.get(served.url + "/healthz", verify=trusted, timeout=60).status_code == 200
    assert not [record for record in caplog.records if record.exc_info or record.name == "asyncio"]


@pytest.mark.parametrize("begun", [b"", b"\x16", SAID["a request"]], ids=["nothing", "a byte", "no TLS"])
def test_who_does_not_begin_tls_is_cut(served: Running, begun: bytes) -> None:
    """After `head_timeout_s`."""
    with sockets.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), 40) as plain:
        plain.sendall(begun)
        with suppress(ConnectionResetError):
            while plain.recv(100):  # an alert of TLS, perhaps
                pass


def test_those_that_begin_no_tls_count_for_their_address(tmp_path: Path) -> None:
    """The oldest are cut long before their time is over, and another client is served."""
    cert, key = certificate(tmp_path, "one")
    bounds = {"max_connections_per_address": 20, "head_timeout_s": 120.0}
    with running(ScriptedEngine(), tls_cert=str(cert), tls_key=str(key), **bounds) as server, ExitStack() as held:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        silent = [held.enter_context(sockets.create_connection(address, 60)) for _ in range(30)]
        for plain in silent[:10]:
            with suppress(ConnectionResetError):
                assert plain.recv(100) == b""
        assert httpx.get(server.url + "/healthz", verify=False, timeout=60).status_code == 200
        silent[-1].setblocking(False)
        with pytest.raises(BlockingIOError):  # it still may begin
            silent[-1].recv(100)
        assert len(server.server._connections) <= 21
        for plain in silent:
            plain.close()

        eventually(lambda: len(server.server._connections) <= 1)  # the request's own may still close
        assert not server.server._connections._handshakes


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    cert, key = certificate(tmp_path_factory.mktemp("tls"), "one")
    with running(ScriptedEngine(), tls_cert=str(cert), tls_key=str(key), head_timeout_s=2.0) as server:
        yield server
