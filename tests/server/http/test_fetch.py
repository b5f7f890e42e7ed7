"""Recordings from addresses: only public ones, whatever way leads elsewhere; the fetch itself, from a real server."""

import http.server
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from server.http import fetch
from server.http.fetch import FetchError, check_address, is_public, public_addresses
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import Running, eventually, running, wav

INWARD = (
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "198.18.0.1", "192.0.2.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1",
)  # fmt: skip
OUTWARD = ("8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", INWARD)
def test_addresses_that_lead_inward_are_not_public(address: str) -> None:
    """Loopback, private, link-local (cloud metadata), shared, multicast, reserved; also inside IPv6 forms of IPv4."""
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTWARD)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    """So that the test above does not pass by refusing everything."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a.wav", "file:///etc/passwd", "http://", "//example.org/a", "a.wav", "", "http://user@example.org/",
        "http://example.org:0/", "http://example.org:99999/", "http://exa mple.org/", "http://example.org/\r\nX: y",
        "http://[::1", "gopher://example.org/", "http://b\u00fccher.example/", "data:audio/wav;base64,AAAA",
    ],
)  # fmt: skip
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    """Before anything is resolved."""
    with pytest.raises(FetchError, match=r"^url: found"):
        check_address(url)


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "localhost", "[::1]", "127.0.0.1."])
def test_other_spellings_of_this_machine_are_refused(host: str) -> None:
    """What the resolver makes of them decides, not their letters."""
    with pytest.raises(FetchError):
        public_addresses(host.strip("[]"), 80)


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not passed over: such a name is meant to lead inward."""

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(FetchError, match="is not a public address"):
        public_addresses("rebound.example", 80)


class _Files(http.server.BaseHTTPRequestHandler):
    """`/a.wav` is a recording of 1 s; `/to?URL` leads to URL; `/long` never ends; anything else is 404."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/to":
            self.send_response(302)
            self.send_header("Location", query)
            self.end_headers()
        elif path == "/a.wav":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(wav(1.0))
        elif path == "/long":
            self.send_response(200)
            self.end_headers()
            with_patience = threading.Event()
            while not with_patience.wait(0.01):
                try:
                    self.wfile.write(bytes(1000))
                except OSError:
                    return
        else:
            self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def files(host: str) -> Iterator[int]:
    """A real HTTP server at an address of this machine; its port."""
    server = http.server.ThreadingHTTPServer((host, 0), _Files)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A site that stands for a public one: of this machine's addresses 127.0.0.1 alone counts as public here."""
    monkeypatch.setattr(fetch, "is_public", lambda address: address == "127.0.0.1")
    with files("127.0.0.1") as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def fetching() -> Iterator[Running]:
    with running(ScriptedEngine(), fetch_urls=True, max_upload_bytes=200_000) as server:
        yield server


def post_url(server: Running, url: str, **options: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/listen", json={"url": url}, **{"timeout": 60} | options)


def test_a_public_recording_is_fetched(fetching: Running, site: str) -> None:
    """Directly and after a redirect."""
    for url in (f"{site}/a.wav", f"{site}/to?{site}/a.wav", f"{site}/to?/a.wav"):
        body = post_url(fetching, url).json()
        assert body["results"]["channels"][0]["alternatives"][0]["transcript"] == words(2)


@pytest.mark.parametrize(
    "to", ["http://127.0.0.2:{port}/a.wav", "file:///etc/passwd", "ftp://127.0.0.1/a", "http://[::1]:{port}/a.wav"]
)
def test_a_redirect_does_not_lead_inward(fetching: Running, site: str, to: str) -> None:
    """The place it leads to is really there, and is never asked."""
    with files("127.0.0.2") as port:
        answer = post_url(fetching, f"{site}/to?" + to.format(port=port))
    assert (answer.status_code, answer.json()["err_code"]) == (400, "REMOTE_CONTENT_ERROR")


def test_without_the_stand_in_this_machine_is_refused(fetching: Running) -> None:
    """The real rule over the whole path: the server's own metrics cannot be read."""
    answer = post_url(fetching, f"{fetching.url}/metrics")
    assert answer.status_code == 400
    assert "'127.0.0.1' is not a public address" in answer.json()["err_msg"]


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("/none", "REMOTE_CONTENT_ERROR", "found HTTP 404"),
        ("/to?/to?/to", "REMOTE_CONTENT_ERROR", "found HTTP 302"),
        ("/long", "PAYLOAD_TOO_LARGE", "more than 200000 bytes"),
    ],
)
def test_what_is_no_recording_is_refused(fetching: Running, site: str, path: str, code: str, sentence: str) -> None:
    """With its kind, and the next one is served."""
    answer = post_url(fetching, site + path)
    assert answer.json()["err_code"] == code
    assert sentence in answer.json()["err_msg"]
    assert post_url(fetching, f"{site}/a.wav").status_code == 200


def test_a_client_that_leaves_ends_its_fetch(site: str) -> None:
    """The place and the connection to the site are free again."""
    with running(ScriptedEngine(), fetch_urls=True) as server:
        with pytest.raises(httpx.ReadTimeout):
            post_url(server, f"{site}/long", timeout=0.5)
        eventually(lambda: server.metric("asr_open_streams") == 0)
        eventually(
            lambda: not any(t.name.startswith("Thread") and "process_request" in t.name for t in threading.enumerate())
        )


WAITS_FOR_A_NAME = """
import asyncio, io, time
from server.http import fetch

fetch.socket.getaddrinfo = lambda *given, **options: time.sleep(300)

async def main():
    fetcher = fetch.Fetcher(1000)
    fetches = [asyncio.create_task(fetcher.fetch("http://slow.example/a.wav", io.BytesIO())) for _ in range(6)]
    await asyncio.sleep(0.3)
    fetcher.stop()
    for one in fetches:
        one.cancel()
    await asyncio.gather(*fetches, return_exceptions=True)
    print("ended", flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_resolver_that_does_not_answer_holds_up_no_shutdown() -> None:
    """A thread within getaddrinfo cannot be woken; the process ends without it."""
    ended = subprocess.run([sys.executable, "-c", WAITS_FOR_A_NAME], capture_output=True, timeout=120, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")
