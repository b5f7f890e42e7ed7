"""A live stream that survives a broken connection and a server that is restarted: every final once, no word missing."""

import asyncio
import json
import random
from collections.abc import AsyncIterable, Callable
from contextlib import suppress

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from server.client.protocol import CLOSE_STREAM, StreamError, listen_url, read_message
from server.client.recovery import Recovery
from server.client.stream import NORMAL, HandshakeBroke, OnMessage, ReadMessage, Refused, Unreachable, connected

RESUMABLE_S = 30
"""Asked of the server."""
MAX_KEPT_BYTES = 32 * 1024 * 1024
"""17 minutes of 16 kHz linear16. Beyond it the source waits while there is no connection. What the server has is then
forgotten before its words are final: if that server dies, they are lost, and `on_state` says so."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
"""Between two tries, each twice the one before, times a random factor: many clients must not come back together."""
GIVE_UP_S = 300.0
FIRST_TRIES = 6
"""Of the first handshake, in case it breaks; another address would not answer it either."""
SILENCE_S = 10.0
"""A server that keeps the stream says something every second. After so much silence nobody is there."""
KEEP_ALIVE_S = 5.0
ACK_S = 1.0
KEEP_ALIVE = '{"type": "KeepAlive"}'

GONE, RESTARTED = 410, 1012
FATAL = (1008, 1009, 4001)
"""Close codes after which another connection fails, too. 4001: another one has the stream."""
LOADING = "SERVER_LOADING"
PASSING = (429, 500, 502, 503, 504)
"""Refusals of a server, or of a proxy before it, that may accept the next try."""

OnState = Callable[[str], None]


class ResumingStream:
    """One stream over as many connections as it takes; `run` it once.

    `url` is an address of `listen_url` for raw samples; `bytes_per_s` and `frame_bytes` are as in `Recovery`.
    `on_state` gets a sentence when the connection is lost, and "" when it is there again.
    """

    def __init__(
        self,
        url: str,
        on_message: OnMessage,
        *,
        bytes_per_s: int,
        frame_bytes: int,
        read: ReadMessage = read_message,
        key: str = "",
        on_state: OnState = lambda sentence: None,
        resumable_s: int = RESUMABLE_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._url, self._on_message, self._read, self._key = url, on_message, read, key
        self._on_state, self._resumable_s, self._silence_s = on_state, resumable_s, silence_s
        self._state = Recovery(bytes_per_s, frame_bytes)
        self._grown, self._forgotten = asyncio.Event(), asyncio.Event()
        self._began = False
        """Whether there ever was a connection."""
        self._lost_at_s: float | None = None
        self._tries = 0
        self._acknowledged, self._acknowledged_at_s = 0, 0.0

    async def run(self, chunks: AsyncIterable[bytes | str]) -> None:
        """Sends each chunk when it comes, then CloseStream; returns when the server has sent everything.

        A chunk is audio, or as `str` a message such as Finalize. Raises `StreamError` when the server refuses or ends
        the stream, or cannot be reached for `GIVE_UP_S`; what `chunks` raises, after the server has answered what was
        sent before; and what `on_message` raises.
        """
        source = asyncio.create_task(self._fill(chunks))
        try:
            while not await self._connect():
                await self._pause()
        except StreamError as error:
            if not isinstance(error, Refused) and source.done() and (cause := source.exception()):
                raise cause from error  # a stream without audio ends with an error: its cause is here
            raise
        finally:
            source.cancel()
            [failure] = await asyncio.gather(source, return_exceptions=True)
        if summary := self._state.summary():
            self._on_message(summary)
        if isinstance(failure, Exception):
            raise failure

    async def _fill(self, chunks: AsyncIterable[bytes | str]) -> None:
        outbox = self._state.outbox
        try:
            async for chunk in chunks:
                outbox.add(chunk)
                self._grown.set()
                self._state.forget_received(MAX_KEPT_BYTES)
                while outbox.kept_bytes > MAX_KEPT_BYTES:
                    self._forgotten.clear()
                    await self._forgotten.wait()
                    self._state.forget_received(MAX_KEPT_BYTES)
        finally:
            outbox.is_closed = True
            self._grown.set()

    # -- connections -------------------------------------------------------------------------------------------------

    async def _connect(self) -> bool:
        """One connection. Returns whether the stream is over; otherwise another one is needed. Raises `StreamError`."""
        try:
            async with connected(self._address(), self._key) as socket:
                self._began = True
                return await self._converse(socket)
        except Refused as refusal:
            if refusal.status == GONE and self._state.token:
                self._begin_again()
            elif refusal.code != LOADING and not (self._began and refusal.status in PASSING):
                raise
        except HandshakeBroke:
            if not self._began and self._tries >= FIRST_TRIES:
                raise
        except Unreachable:
            if not self._began:
                raise
        return False

    def _address(self) -> str:
        wanted_s = None if self._state.token else self._resumable_s
        return listen_url(self._url, resumable=wanted_s or None, **self._state.parameters)

    def _begin_again(self) -> None:
        if lost_s := self._state.begin_again():
            self._on_state(f"{lost_s:.1f} s are lost: the server failed before their words were final")

    async def _pause(self) -> None:
        """Before the next try. Raises `StreamError` after `GIVE_UP_S`."""
        now_s = asyncio.get_running_loop().time()
        self._lost_at_s = now_s if self._lost_at_s is None else self._lost_at_s
        if now_s - self._lost_at_s > GIVE_UP_S:
            raise StreamError(
                f"the connection to the server broke and could not be made again for {GIVE_UP_S:.0f} s; the text up "
                f"to second {self._state.settled_s:.1f} is final"
            )
        self._on_state(f"the {'connection to the server broke' if self._began else 'server is loading'}; trying again")
        wait_s = min(FIRST_WAIT_S * 2**self._tries, LONGEST_WAIT_S)
        self._tries = min(self._tries + 1, 10)
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))

    async def _converse(self, socket: ClientConnection) -> bool:
        ready = asyncio.Event()
        if not self._state.token:
            self._state.begin()
            ready.set()
        sending = asyncio.create_task(self._send(socket, ready))
        error = ""
        try:
            while (text := await self._next(socket)) is not None:
                error = self._take(text, ready) or error
        finally:
            sending.cancel()
            [failure] = await asyncio.gather(sending, return_exceptions=True)
            socket.transport.abort()  # whatever is left; a polite close would wait for an answer
        if isinstance(failure, Exception) and not isinstance(failure, ConnectionClosed):
            raise failure
        return self._is_over(socket, error)

    async def _next(self, socket: ClientConnection) -> str | bytes | None:
        """The next message; None when the connection has ended, or when nobody says anything any more."""
        with suppress(ConnectionClosed):
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._silence_s):
                        return await socket.recv()
                if self._state.is_kept or not await self._answers(socket):
                    break
        return None

    async def _answers(self, socket: ClientConnection) -> bool:
        """Whether somebody is there: a server that keeps no streams need not say anything in a silent room."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._silence_s):
                await (await socket.ping())
                return True
        return False

    def _is_over(self, socket: ClientConnection, error: str) -> bool:
        """After a connection. Raises `StreamError` where another one would not help."""
        frame = socket.protocol.close_rcvd  # what carries it may end the connection later, or never
        code = frame.code if frame else socket.close_code
        if code == NORMAL and not error:
            return True
        if error or code in FATAL:
            reason = error or socket.close_reason or "no reason was given"
            raise StreamError(f"the server ended the stream with code {code}: {reason}")
        if not self._state.is_heard:
            return False
        if not self._state.is_kept:
            raise StreamError("the connection to the server broke; the text that was not final yet is lost")
        if code == RESTARTED and self._state.is_complete:
            return True
        if code == RESTARTED or not self._state.token:
            self._begin_again()
        return False

    # -- sending and receiving ---------------------------------------------------------------------------------------

    async def _send(self, socket: ClientConnection, ready: asyncio.Event) -> None:
        await ready.wait()
        outbox = self._state.outbox
        while True:
            self._grown.clear()
            await self._acknowledge(socket)
            while (piece := outbox.take()) is not None:
                await socket.send(piece)
            if outbox.is_closed:
                return None if self._state.is_closing else await socket.send(CLOSE_STREAM)
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    await self._grown.wait()
            except TimeoutError:
                await socket.send(KEEP_ALIVE)

    def _take(self, text: str | bytes, ready: asyncio.Event) -> str:
        """Takes one message. Returns the description of an `Error`, or ""."""
        message, table = self._read(text), json.loads(text)
        new = self._state.take(table, message)
        self._forgotten.set()
        if table["type"] == "Session":
            ready.set()
            self._lost_at_s, self._tries = None, 0
            self._on_state("")
        if new:
            self._on_message(new)
        return message.error

    async def _acknowledge(self, socket: ClientConnection) -> None:
        """At most once a second: the server forgets the messages up to the last."""
        now_s, sequence = asyncio.get_running_loop().time(), self._state.sequence
        if self._state.token and sequence != self._acknowledged and now_s >= self._acknowledged_at_s + ACK_S:
            self._acknowledged, self._acknowledged_at_s = sequence, now_s
            await socket.send(json.dumps({"type": "Ack", "sequence": sequence}))
