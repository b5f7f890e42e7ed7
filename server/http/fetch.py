"""Fetches a recording from a public address, for a client that may be a stranger.

A stranger's address must not reach what only this machine can reach (server-side request forgery). So each connection,
after each redirect too, resolves its host here, refuses if one of the addresses is not public, and connects to the very
address that was checked: a name that resolves differently a moment later (DNS rebinding) gains nothing.
"""

import asyncio
import http.client
import ipaddress
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from asr.errors import CallerError
from server.http.errors import UploadTooBig

CONNECT_TIMEOUT_S = 10.0
"""For each connection, and for each wait for data."""
FETCH_TIMEOUT_S = 300.0
"""For the whole recording: a sender that trickles must not hold a place for ever."""
MAX_FETCHES = 4
"""At the same time, in threads of their own: those that decode audio must not wait for a slow sender."""
_PIECE_BYTES = 65_536
_EMBEDDED = ("64:ff9b::/96", "64:ff9b:1::/48")
"""NAT64 (RFC 6052, 8215): IPv6 addresses whose last 32 bits are an IPv4 address."""


class FetchError(CallerError):
    """An address that is not allowed, or that gives no recording; HTTP 400."""


class Fetcher:
    """Fetches recordings of at most `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._places = asyncio.Semaphore(MAX_FETCHES)
        self._stopped = False

    def stop(self) -> None:
        """Starts no further fetch."""
        self._stopped = True

    async def fetch(self, url: str, file: BinaryIO) -> None:
        """Writes what is at `url` into the file. Raises `FetchError`, `UploadTooBig`."""
        check_address(url)
        sockets = _Sockets()
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                await self._places.acquire()
                await self._in_thread(partial(self._fetch, url, file, sockets))
        except TimeoutError:
            raise FetchError(f"url: found no end of the recording after {FETCH_TIMEOUT_S:g} s") from None
        finally:
            sockets.close()  # a thread cannot be cancelled; without its socket it ends

    def _in_thread(self, work: Callable[[], None]) -> asyncio.Future[None]:
        """What `work` comes to; its end gives the place back, also where nobody waits for it any more.

        The thread is a daemon: one that waits for the name of a host cannot be woken, and the process must end in time.
        A pool's threads are waited for.
        """
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def settle(error: Exception | None) -> None:
            self._places.release()
            if done.done():
                return
            done.set_exception(error) if error else done.set_result(None)

        def run() -> None:
            error: Exception | None = None
            try:
                if not self._stopped:
                    work()
            except Exception as caught:  # noqa: BLE001 - raised where it is awaited
                error = caught
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, error)

        threading.Thread(target=run, name="fetch", daemon=True).start()
        return done

    def _fetch(self, url: str, file: BinaryIO, sockets: "_Sockets") -> None:
        try:
            with _opener(sockets).open(_request(url), timeout=CONNECT_TIMEOUT_S) as response:
                self._copy(response, file)
        except urllib.error.HTTPError as error:
            error.close()
            raise FetchError(f"url: found HTTP {error.code}, wanted a recording") from None
        except urllib.error.URLError as error:
            raise FetchError(f"url: found no recording ({_why(error.reason)})") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FetchError(f"url: found no recording ({_why(error)})") from None

    def _copy(self, response: Any, file: BinaryIO) -> None:
        size = 0
        while piece := response.read1(_PIECE_BYTES):
            size += len(piece)
            if size > self._max_bytes:
                raise UploadTooBig(f"found a recording of more than {self._max_bytes} bytes, which is the limit")
            file.write(piece)


def check_address(url: str) -> None:
    """Refuses what is no address of the web, before anything is resolved. Raises `FetchError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FetchError("url: found an address that cannot be read, wanted http:// or https://") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or port == 0:
        raise FetchError("url: found no address of the web, wanted http:// or https:// and a host, without a user")
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise FetchError("url: found spaces or letters that addresses write as %XX; wanted them so")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet: not this machine, not its network, no multicast."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and any(ip in ipaddress.ip_network(network) for network in _EMBEDDED):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def public_addresses(host: str, port: int) -> list[tuple[Any, ...]]:
    """What `socket.getaddrinfo` gives for the host. Raises `FetchError` if one of the addresses is not public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchError(f"url: found no host named {host[:100]!r}") from None
    if not all(is_public(str(info[4][0])) for info in found):
        raise FetchError(f"url: {host[:100]!r} is not a public address; recordings are fetched from public ones only")
    return list(found)


class _Sockets:
    """The sockets of one fetch, so that it can be ended from another thread."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._closed = False

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connection to the first address that answers. Raises `FetchError`, `OSError`."""
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, address in public_addresses(host, port):
            connecting = socket.socket(family, kind, protocol)
            connecting.settimeout(timeout_s)
            self._sockets.append(connecting)
            if self._closed:
                raise OSError("the client has gone")
            try:
                connecting.connect(address)
                return connecting
            except OSError as error:
                connecting.close()
                failure = error
        raise failure

    def close(self) -> None:
        """Wakes a thread that waits for data, and leaves closing to it."""
        self._closed = True
        for connected in self._sockets:
            try:
                connected.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # never connected, or closed


def _opener(sockets: _Sockets) -> urllib.request.OpenerDirector:
    """Only HTTP, without the environment's proxies: a proxy would resolve names itself."""
    context = ssl.create_default_context()

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = sockets.connect(self.host, self.port, CONNECT_TIMEOUT_S)

    class Encrypted(http.client.HTTPSConnection):
        def connect(self) -> None:
            plain = sockets.connect(self.host, self.port, CONNECT_TIMEOUT_S)
            self.sock = context.wrap_socket(plain, server_hostname=self.host)

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

    class EncryptedHandler(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Encrypted, req)

    opener = urllib.request.OpenerDirector()
    for handler in (
        PlainHandler(),
        EncryptedHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _request(url: str) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"User-Agent": "steadyword", "Accept": "audio/*, video/*, */*"})


def _why(reason: object) -> str:
    """A few words, without what a server of strangers may have put into them."""
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, ssl.SSLError):
        return "its certificate or encryption is not accepted"
    return (reason.strerror or "connection failed") if isinstance(reason, OSError) else "not HTTP"
