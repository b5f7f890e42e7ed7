"""Freed memory goes back to the system."""

import asyncio
import subprocess
import sys

import pytest

from server import freed_memory

PROGRAM = """
import re
from pathlib import Path
from server.freed_memory import give_back

def resident_mb():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

blocks = [bytes(100_000) for _ in range(2_000)]  # below the size that glibc maps apart
blocks = blocks[-1:]  # the last one holds the heap's end where it is
before = resident_mb()
give_back()
print(before - resident_mb())
"""


@pytest.mark.skipif(not freed_memory._malloc_trim, reason="a C library without malloc_trim")
def test_what_lies_between_blocks_in_use_goes_back_too() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 100


def test_a_server_gives_back_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    times = []
    monkeypatch.setattr(freed_memory, "give_back", lambda: times.append(1))

    async def main() -> None:
        task = asyncio.create_task(freed_memory.keep_giving_back(0.001))
        while len(times) < 3:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(asyncio.wait_for(main(), 60))
