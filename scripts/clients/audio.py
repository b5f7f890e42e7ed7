"""What the clients send: a recording and a pause after it, in pieces at twice the pace of speech."""

import asyncio
import audioop
import json
import os
import sys
import wave
from collections.abc import AsyncIterator, Awaitable, Callable

RATE_HZ = 16_000
PIECE_S = 0.02
PACE = 2.0
PAUSE_S = 2.5
KEY = os.environ.get("ASR_KEY", "any")
"""Shown by each client in its own way; a server without keys looks at none."""


def pcm(path: str) -> bytes:
    """The samples of a 16-bit mono WAV at 16 kHz, and silence."""
    with wave.open(path) as recording:
        assert (recording.getframerate(), recording.getnchannels(), recording.getsampwidth()) == (RATE_HZ, 1, 2)
        return recording.readframes(recording.getnframes()) + bytes(round(PAUSE_S * RATE_HZ) * 2)


def at_rate(data: bytes, rate_hz: int) -> bytes:
    """Mono samples at 16 kHz, resampled (audioop is part of Python up to 3.12)."""
    return data if rate_hz == RATE_HZ else audioop.ratecv(data, 2, 1, RATE_HZ, rate_hz, None)[0]


async def pieces(path: str, rate_hz: int = RATE_HZ) -> AsyncIterator[bytes]:
    """Paced, at this rate."""
    data, size = at_rate(pcm(path), rate_hz), round(PIECE_S * rate_hz) * 2
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await asyncio.sleep(PIECE_S / PACE)


Case = Callable[[str, str], Awaitable[str]]
"""A server's address, such as http://127.0.0.1:8000, and a recording -> the text that the client shows."""


def main(cases: dict[str, Case]) -> None:
    """`SCRIPT URL WAV`: runs each case and prints its text, or its error, as a line of JSON."""
    url, path = sys.argv[1:3]
    for name, case in cases.items():
        try:
            text = asyncio.run(asyncio.wait_for(case(url, path), 60))
            print(json.dumps({"case": name, "text": text}), flush=True)
        except Exception as error:  # noqa: BLE001 - whatever a client raises is its result
            print(json.dumps({"case": name, "error": f"{type(error).__name__}: {error}"}), flush=True)
