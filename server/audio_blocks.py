"""A file's audio as an asynchronous stream of blocks. Decoding is slow and blocks, so it runs in a thread."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

import numpy as np

from asr.audio.files import read_blocks
from asr.audio.tracks import OnNotice, ignored
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError

MAX_RECORDING_S = 24 * 3600.0
"""Of speech at the lowest usual bit rate, 512 MB would be nine days; of silence, half a year."""


async def audio_blocks(
    file: BinaryIO, on_notice: OnNotice = ignored, *, channel: int | None = None
) -> AsyncIterator[np.ndarray]:
    """Mono float32 blocks ``(n,)`` at 16 kHz, 10 s each but the last. Each is decoded when the caller asks for it.

    `channel` is read alone; with None all are mixed down. `on_notice` is called in a thread, see `read_blocks`.
    Raises `AudioError`, at any block, and for a recording of more than `MAX_RECORDING_S`.
    """
    blocks = iter(read_blocks(file, on_notice=on_notice, channel=channel))
    seconds = 0.0
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        seconds += len(block) / SAMPLE_RATE_HZ
        if seconds > MAX_RECORDING_S:
            raise AudioError(f"found a recording of more than {MAX_RECORDING_S / 3600:g} hours, wanted a shorter one")
        yield block
