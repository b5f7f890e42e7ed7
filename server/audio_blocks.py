"""A file's audio as an asynchronous stream of blocks. Decoding is slow and blocks, so it runs in a thread."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

import numpy as np

from asr.audio.files import read_blocks
from asr.audio.tracks import OnNotice, ignored


async def audio_blocks(
    file: BinaryIO, on_notice: OnNotice = ignored, *, channel: int | None = None
) -> AsyncIterator[np.ndarray]:
    """Mono float32 blocks ``(n,)`` at 16 kHz, 10 s each but the last. Each is decoded when the caller asks for it.

    `channel` is read alone; with None all are mixed down. `on_notice` is called in a thread, see `read_blocks`.
    Raises `AudioError`, at any block.
    """
    blocks = iter(read_blocks(file, on_notice=on_notice, channel=channel))
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block
