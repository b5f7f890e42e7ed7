"""One live stream over a WebSocket, from the client's side: sends audio, and passes on what the server answers."""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from server.client.protocol import CHUNK_S, CLOSE_STREAM, Message, StreamError, read_message

NORMAL = 1000
BROKEN = 1006

OPEN_S = 10.0
"""For the handshake."""


class Refused(StreamError):
    """The server refused the stream before the upgrade, with an HTTP `status`."""

    def __init__(self, sentence: str, status: int, code: str = "") -> None:
        super().__init__(sentence)
        self.status, self.code = status, code


class HandshakeBroke(StreamError):
    """The connection ended during the handshake, or no live protocol answers at the address."""


class Unreachable(StreamError):
    """There is no server at the address, or no way to it."""


OnMessage = Callable[[Message], None]
ReadMessage = Callable[[str | bytes], Message]


async def stream(
    url: str,
    chunks: AsyncIterable[bytes | str],
    on_message: OnMessage,
    *,
    read: ReadMessage = read_message,
    key: str = "",
) -> None:
    """Sends each chunk when it comes, then CloseStream; returns when the server has sent everything and closed.

    A chunk is audio, or as `str` a message such as `FINALIZE`. `read` is `read_message`, perhaps with a language. `key`
    is sent as Deepgram's clients send it; "" sends none. Raises `StreamError`, what `chunks` raises (after the server
    has answered what was sent before), and what `on_message` raises.
    """
    async with connected(url, key) as socket:
        sending = asyncio.create_task(_send(socket, chunks))
        try:
            error = await _receive(socket, on_message, read)
        finally:
            sending.cancel()
            [failure] = await asyncio.gather(sending, return_exceptions=True)
    if isinstance(failure, Exception) and not isinstance(failure, ConnectionClosed):
        raise failure
    if error or socket.close_code != NORMAL:
        raise StreamError(_ending(socket, error))


async def paced(chunks: AsyncIterable[bytes], pace: float, chunk_s: float = CHUNK_S) -> AsyncIterator[bytes]:
    """The chunks of `chunk_s` seconds each, when their last sample would be spoken; late ones immediately.

    `pace` is seconds of audio in a second.
    """
    clock = asyncio.get_running_loop().time
    due = clock()
    async for chunk in chunks:
        due = max(due + chunk_s / pace, clock() - 1.0)  # a source that stalled catches up by at most 1 s
        await asyncio.sleep(max(0.0, due - clock()))
        yield chunk


def _ending(socket: ClientConnection, error: str) -> str:
    if not error and socket.close_code == BROKEN:
        return "the connection to the server broke; the text that was not final yet is lost"
    reason = error or socket.close_reason or "no reason was given"
    return f"the server ended the stream with code {socket.close_code}: {reason}"


class connected:
    """The connection as a context. Raises `StreamError` with one sentence when it cannot be opened.

    The client sends no pings: their answers would queue behind all the audio that the server has not read yet.
    """

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url
        self._headers = {"Authorization": f"Token {key}"} if key else None

    async def __aenter__(self) -> ClientConnection:
        where = self._url.partition("?")[0]
        try:
            self._socket = await connect(
                self._url,
                additional_headers=self._headers,
                ping_interval=None,
                compression=None,
                max_size=None,
                proxy=None,
                open_timeout=OPEN_S,
            )
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            code, reason = _why(refusal)
            raise Refused(f"{where} refused the stream (HTTP {status}): {reason}", status, code) from None
        except (InvalidHandshake, InvalidURI) as error:
            raise HandshakeBroke(f"found no live protocol at {where} ({error}); is it the right address?") from None
        except TimeoutError:
            raise HandshakeBroke(f"{where} did not answer for {OPEN_S:.0f} s; is it the right address?") from None
        except OSError as error:
            sentence = f"no server at {where} ({error.strerror or error}); start one with `asr serve`"
            raise Unreachable(sentence) from None
        return self._socket

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()


def _why(refusal: InvalidStatus) -> tuple[str, str]:
    """The refusal's `err_code` and its sentence."""
    try:
        body = json.loads(refusal.response.body or b"")
        return str(body.get("err_code", "")), str(body["err_msg"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", "no reason was given; is it the right address?"


async def _send(socket: ClientConnection, chunks: AsyncIterable[bytes | str]) -> None:
    """CloseStream is sent when the source fails, too: what was sent before is still recognised."""
    try:
        async for chunk in chunks:
            await socket.send(chunk)
    finally:
        await socket.send(CLOSE_STREAM)


async def _receive(socket: ClientConnection, on_message: OnMessage, read: ReadMessage) -> str:
    """Runs until the server closes. Returns the description of its `Error` message, or ""."""
    error = ""
    try:
        async for text in socket:
            message = read(text)
            error = message.error or error
            on_message(message)
    except ConnectionClosed:
        pass  # the close code is examined afterwards
    return error
