"""A file's audio as an asynchronous stream of blocks. Decoding is slow and blocks, so it runs in a thread."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from typing import Any, BinaryIO, TypeVar

import numpy as np

from asr.audio.files import read_blocks
from asr.audio.tracks import OnNotice, ignored
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError

T = TypeVar("T")

MAX_RECORDING_S = 24 * 3600.0
"""Of speech at the lowest usual bit rate, 512 MB would be nine days; of silence, half a year."""


async def audio_blocks(
    file: BinaryIO, on_notice: OnNotice = ignored, *, channel: int | None = None
) -> AsyncGenerator[np.ndarray, None]:
    """Mono float32 blocks ``(n,)`` at 16 kHz, 10 s each but the last. Each is decoded when the caller asks for it.

    `channel` is read alone; with None all are mixed down. `on_notice` is called in a thread, see `read_blocks`.
    Raises `AudioError`, at any block, and for a recording of more than `MAX_RECORDING_S`.
    """
    seconds = 0.0
    with closing(read_blocks(file, on_notice=on_notice, channel=channel)) as blocks:
        while (block := await to_thread(next, blocks, None)) is not None:
            seconds += len(block) / SAMPLE_RATE_HZ
            if seconds > MAX_RECORDING_S:
                longest = f"{MAX_RECORDING_S / 3600:g} hours"
                raise AudioError(f"found a recording of more than {longest}, wanted a shorter one")
            yield block


async def to_thread(function: Callable[..., T], *args: Any) -> T:
    """As `asyncio.to_thread`; but a caller that is cancelled waits for the thread, whose file is closed next."""
    work = asyncio.create_task(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.gather(work, return_exceptions=True)
        raise
