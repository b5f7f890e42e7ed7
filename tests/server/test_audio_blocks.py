"""A file's blocks, read in threads."""

import asyncio
import io
import threading
from typing import Any

import pytest

from server.audio_blocks import audio_blocks
from tests.server.running import wav


class Slow(io.BytesIO):
    """A file whose first read waits for `go`; counts the calls after it was closed."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.begun, self.go, self.late = threading.Event(), threading.Event(), 0

    def readinto(self, buffer: Any) -> int:
        self.begun.set()
        assert self.go.wait(60)
        self.late += self.closed
        return super().readinto(buffer)

    def tell(self) -> int:
        self.late += self.closed
        return super().tell()


@pytest.mark.parametrize("wait_for_a_block", [True, False])
def test_a_file_is_closed_after_its_last_read(wait_for_a_block: bool) -> None:
    """Also if the reader is cancelled, within a block or between two."""
    file = Slow(wav(60.0))

    async def read() -> None:
        with file:
            blocks = audio_blocks(file)
            try:
                async for _ in blocks:
                    if not wait_for_a_block:
                        await asyncio.sleep(60)
            finally:
                await blocks.aclose()

    async def main() -> None:
        task = asyncio.create_task(read())
        await asyncio.to_thread(file.begun.wait, 60)
        if not wait_for_a_block:
            file.go.set()
            await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.sleep(0.05)
        file.go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert file.closed
    assert file.late == 0
