"""Sends requests and conversations, and counts what was sent, what was answered, and what was not."""

import asyncio
import contextlib
import random
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

ANSWER_S = 360.0
"""Longer than the server's own deadlines together: `start_timeout_s` (300) for a worker that is replaced, and those of
a step, a body and an answer that is not taken. Beyond it a request counts as unanswered."""

CLOSE_S = 2.0


@dataclass
class Attack:
    """What was sent, and what was not answered."""

    url: str
    wyoming: tuple[str, int] | None
    random: random.Random
    tls: ssl.SSLContext | None = None
    """What trusts the server's certificate, if the URL is `https`."""
    sent: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    frames: int = 0
    slowest: tuple[float, str] = (0.0, "")
    """The longest time in seconds until an answer or the end, and of which request."""

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.partition("://")[2].strip("/").rsplit(":", 1)
        return host, int(port)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address, ssl=self.tls)

    @contextlib.contextmanager
    def waiting(self, what: str, audio_s: float = 0.0) -> Iterator[float]:
        """Times an answer, and gives how long to wait for it: what was sent as audio may take as long as it is."""
        began_s = time.monotonic()
        try:
            yield ANSWER_S + audio_s
        finally:
            self.slowest = max(self.slowest, (time.monotonic() - began_s, what))


async def close_connection(writer: asyncio.StreamWriter) -> None:
    """Closes a connection to the end. TLS says goodbye first, for which the loop may not have time when all is over."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_S):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()


async def raw_request(attack: Attack, name: str, data: bytes, *, half: bool = False, audio_s: float = 0.0) -> None:
    """Sends bytes and waits for any answer or the end. `half` says that the request is not whole."""
    attack.sent[name] += 1
    reader, writer = await attack.open()
    try:
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
            with attack.waiting(name, audio_s) as patience_s:
                async with asyncio.timeout(patience_s):
                    line = await reader.readline()
            attack.answers[line[9:12].decode("latin-1") if line.startswith(b"HTTP/") else "closed"] += 1
            if not line.startswith(b"HTTP/1.1 ") and not half:
                attack.answers["no status"] += 1
    except TimeoutError:
        attack.unanswered.append(f"{name}: {data[:120]!r}")
    finally:
        await close_connection(writer)


async def conversation(
    attack: Attack,
    name: str,
    path: str,
    messages: Iterator[str | bytes],
    last: str | bytes | None,
    audio_s: float = 0.0,
    **options: Any,
) -> None:
    """A WebSocket: all messages, the last one, and then the server must close. `audio_s` is what they hold of audio."""
    try:
        async with connect(
            attack.url.replace("http", "ws") + path,
            ssl=attack.tls,
            compression=None,
            max_size=None,
            ping_interval=None,
            open_timeout=ANSWER_S,
            close_timeout=5,
            **options,
        ) as socket:
            reading = asyncio.create_task(_until_closed(socket))
            with contextlib.suppress(WebSocketException, OSError):
                for message in messages:
                    attack.sent[name] += 1
                    async with asyncio.timeout(ANSWER_S):
                        await socket.send(message)
                if last is not None:
                    attack.sent[name] += 1
                    await socket.send(last)
                else:
                    await socket.close()
            with attack.waiting(name, audio_s) as patience_s:
                async with asyncio.timeout(patience_s):
                    await reading
            attack.answers[str(socket.close_code)] += 1
    except TimeoutError:
        attack.unanswered.append(f"{name}: {path[:120]}")
    except (InvalidHandshake, OSError) as error:
        status = getattr(getattr(error, "response", None), "status_code", type(error).__name__)
        attack.answers[str(status)] += 1


async def _until_closed(socket: ClientConnection) -> None:
    with contextlib.suppress(WebSocketException, OSError):
        async for _ in socket:
            pass
