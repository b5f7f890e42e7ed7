"""The sources of `asr stream`: a file, raw PCM on standard input, a microphone. All yield linear16, 0.1 s at a time."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

from asr.cli import say
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError, CallerError, ConfigError
from asr.installing import install_extra
from server.client.protocol import CHUNK_S, pcm16


class MicrophoneError(CallerError):
    """There is no microphone, or no library to read it with."""


async def file_chunks(path: Path) -> AsyncIterator[bytes]:
    """Any recording, as mono at 16 kHz. Raises `AudioError`."""
    from server.audio_blocks import audio_blocks  # heavy imports

    if not path.is_file():
        raise AudioError(f"no file at {path}; name a recording, - for standard input or mic for the microphone")
    size = round(CHUNK_S * SAMPLE_RATE_HZ)
    rest = np.zeros(0, np.float32)
    with path.open("rb") as file:
        async for block in audio_blocks(file, lambda notice: say(f"{path}: {notice}")):
            rest = np.concatenate([rest, block])
            whole = len(rest) // size * size
            for start in range(0, whole, size):
                yield pcm16(rest[start : start + size])
            rest = rest[whole:]
    if len(rest):
        yield pcm16(rest)


async def stdin_chunks(rate_hz: int, channels: int) -> AsyncIterator[bytes]:
    """Raw PCM16 from standard input until it ends. Raises `ConfigError` where that is a terminal."""
    if sys.stdin.isatty():
        raise ConfigError("found a keyboard on standard input, wanted raw PCM16; pipe a recording into it")
    size = round(CHUNK_S * rate_hz) * 2 * channels
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=16)
    loop = asyncio.get_running_loop()

    def read() -> None:
        """`os.read`, because a thread that waits inside Python's own buffer would delay the program's exit."""
        while data := os.read(0, size):
            asyncio.run_coroutine_threadsafe(queue.put(data), loop).result()
        asyncio.run_coroutine_threadsafe(queue.put(b""), loop)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    async for chunk in _rechunked(queue, size):
        yield chunk


async def _rechunked(queue: "asyncio.Queue[bytes]", size: int) -> AsyncIterator[bytes]:
    rest = b""
    while data := await queue.get():
        rest += data
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    if rest:
        yield rest


async def microphone_chunks() -> AsyncIterator[bytes]:
    """The default microphone as mono at 16 kHz, until cancelled. Raises `MicrophoneError`."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def receive(data: Any, frames: int, time: Any, status: Any) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, bytes(data))

    with _microphone(receive):
        while True:
            yield await queue.get()


def _microphone(callback: Any) -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is installed, PortAudio is not
        raise MicrophoneError(
            f"the microphone needs the package sounddevice ({error}); {install_extra('mic')}"
        ) from None
    blocksize = round(CHUNK_S * SAMPLE_RATE_HZ)
    try:
        return sounddevice.RawInputStream(SAMPLE_RATE_HZ, blocksize, dtype="int16", channels=1, callback=callback)
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"found no usable microphone ({error}); plug one in or stream a file") from None


async def until(stop: asyncio.Event, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same chunks; ends when `stop` is set."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            following = asyncio.ensure_future(anext(chunks))
            await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                return
            try:
                yield following.result()
            except StopAsyncIteration:
                return
    finally:
        stopped.cancel()
