"""A file's audio as an asynchronous stream: decoding is slow and blocks, so it happens in a thread."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

import numpy as np

from asr.audio.files import read_blocks


async def blocks_of(file: BinaryIO) -> AsyncIterator[np.ndarray]:
    """Mono float32 blocks at 16 kHz, each decoded when it is asked for. Raises `AudioError`."""
    blocks = iter(read_blocks(file))
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block
