"""A server of Deepgram's live protocol that follows a script: for the tests of clients, the evaluation's included."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from websockets.asyncio.server import ServerConnection, serve

from asr.config import SAMPLE_RATE_HZ

Handler = Callable[[ServerConnection], Awaitable[None]]


@contextmanager
def listening(handler: Handler) -> Iterator[str]:
    """A real WebSocket server in a thread. Yields its address."""
    loop, ready, address = asyncio.new_event_loop(), threading.Event(), []

    async def run() -> None:
        async with serve(handler, "127.0.0.1", 0) as server:
            address.append(server.sockets[0].getsockname()[1])
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield f"ws://127.0.0.1:{address[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def results(*words: str, is_final: bool, start: float = 0.0, speech_final: bool = False) -> str:
    """A Results message in the form of Deepgram's API reference."""
    listed = [
        {
            "word": w.lower(),
            "punctuated_word": w,
            "start": start + i / 10,
            "end": start + (i + 1) / 10,
            "confidence": 0.9,
        }
        for i, w in enumerate(words)
    ]
    alternative = {"transcript": " ".join(words), "confidence": 0.9, "words": listed}
    shape = {"type": "Results", "start": start, "duration": len(words) / 10, "is_final": is_final}
    return json.dumps(shape | {"speech_final": speech_final, "channel": {"alternatives": [alternative]}})


async def answer(socket: ServerConnection) -> None:
    """Sends one partial at the first chunk, and at the end of the stream the final and the summary."""
    received_bytes = 0
    async for message in socket:
        if isinstance(message, bytes):
            if not received_bytes:
                await socket.send(results("red", is_final=False))
            received_bytes += len(message)
        else:
            await socket.send(results("red", "green", is_final=True, speech_final=True))
            await socket.send(json.dumps({"type": "Metadata", "duration": received_bytes / 2 / SAMPLE_RATE_HZ}))
            return
