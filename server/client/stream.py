"""A client of `GET /v1/listen`: sends audio at the pace of speech and hands on what the server says."""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from asr.errors import CallerError, ConfigError

CHUNK_S = 0.1
NORMAL = 1000
BROKEN = 1006
OnMessage = Callable[[dict[str, Any]], None]


class StreamError(CallerError):
    """The server is not there, refused the stream, or ended it early."""


def listen_url(url: str, **parameters: Any) -> str:
    """The address of a stream: `/v1/listen` where `url` has no path, http as ws, the parameters that are not None;
    one with several values is given so often.

    Raises `ConfigError` for what is no address.
    """
    parts = _parts(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    given = urlencode([(name, _value(value)) for name, values in parameters.items() for value in _each(values)])
    query = "&".join(part for part in (parts.query, given) if part)
    return urlunsplit((scheme, parts.netloc, parts.path if parts.path not in ("", "/") else "/v1/listen", query, ""))


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        possible = parts.scheme in ("ws", "wss", "http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is none
        possible = False
    if not possible:
        raise ConfigError(f"found the address {url!r}, wanted one like ws://127.0.0.1:8000/v1/listen")
    return parts


async def stream(
    url: str,
    chunks: AsyncIterable[bytes],
    on_message: OnMessage,
    *,
    pace: float | None = 1.0,
    chunk_s: float = CHUNK_S,
) -> None:
    """Sends chunks of `chunk_s` seconds each and returns when the server has said all.

    `pace` is audio seconds a second; None sends as fast as the connection takes. Raises `StreamError`.
    """
    async with _connected(url) as socket:
        sending = asyncio.create_task(_send(socket, chunks, pace, chunk_s))
        try:
            error = await _receive(socket, on_message)
        finally:
            sending.cancel()
            [failure] = await asyncio.gather(sending, return_exceptions=True)
    if isinstance(failure, Exception) and not isinstance(failure, ConnectionClosed):
        raise failure
    if error or socket.close_code != NORMAL:
        raise StreamError(_ending(socket, error))


def _ending(socket: ClientConnection, error: str) -> str:
    if not error and socket.close_code == BROKEN:
        return "the connection to the server broke; what it had not yet made final is lost"
    reason = error or socket.close_reason or "no reason was given"
    return f"the server ended the stream with code {socket.close_code}: {reason}"


class _connected:
    """The connection as a context; what goes wrong in opening it is told in a sentence.

    The client sends no pings: their answers would lie behind all the audio that the server has not yet read.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> ClientConnection:
        where = self._url.partition("?")[0]
        try:
            self._socket = await connect(self._url, ping_interval=None, compression=None, max_size=None, proxy=None)
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            raise StreamError(f"{where} refused the stream (HTTP {status}): {_why(refusal)}") from None
        except (InvalidHandshake, InvalidURI) as error:
            raise StreamError(f"found no live protocol at {where} ({error}); is it the right address?") from None
        except OSError as error:
            raise StreamError(f"no server at {where} ({error.strerror or error}); start one with `asr serve`") from None
        return self._socket

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()


def _why(refusal: InvalidStatus) -> str:
    try:
        return str(json.loads(refusal.response.body or b"")["err_msg"])
    except (ValueError, KeyError, TypeError):
        return "no reason was given; is it the right address?"


async def _send(socket: ClientConnection, chunks: AsyncIterable[bytes], pace: float | None, chunk_s: float) -> None:
    """Each chunk in the moment in which its last sample would be spoken; a late one at once; then CloseStream.

    When the source breaks, what was sent is still recognised; the failure is raised after that.
    """
    try:
        async for chunk in _paced(chunks, pace, chunk_s):
            await socket.send(chunk)
    finally:
        await socket.send('{"type":"CloseStream"}')


async def _paced(chunks: AsyncIterable[bytes], pace: float | None, chunk_s: float) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    due = clock()
    async for chunk in chunks:
        if pace is not None:
            due = max(due + chunk_s / pace, clock() - 1.0)  # a source that stalled does not make up for more than 1 s
            await asyncio.sleep(max(0.0, due - clock()))
        yield chunk


async def _receive(socket: ClientConnection, on_message: OnMessage) -> str:
    """Until the server closes; returns what its Error message said, or ""."""
    error = ""
    try:
        async for text in socket:
            message = json.loads(text)
            if message.get("type") == "Error":
                error = str(message.get("description", "no reason was given"))
            on_message(message)
    except ConnectionClosed:
        pass  # the code says it
    return error


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _each(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list | tuple) else () if values is None else (values,)
