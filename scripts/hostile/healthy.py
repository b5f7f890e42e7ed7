"""Healthy streams beside the attack: their texts, and when their words are final."""

import asyncio
import json
import ssl
import sys
import time
from dataclasses import dataclass

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from asr.config import SAMPLE_RATE_HZ
from scripts.hostile.scenarios import RAW

CHUNK_S = 0.1
RETRY_S = 5.0
"""What the server's Retry-After says."""


@dataclass(frozen=True)
class Healthy:
    """One healthy stream: its text, and for each word how long after its end it was final."""

    text: str
    delays_s: tuple[float, ...]


async def healthy(url: str, samples: np.ndarray, tls: ssl.SSLContext | None = None) -> Healthy:
    """A stream at the pace of speech."""
    pcm = (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()
    size = round(CHUNK_S * SAMPLE_RATE_HZ) * 2
    words: list[str] = []
    delays_s: list[float] = []
    async with connect(
        url.replace("http", "ws") + f"/v1/listen?{RAW}&interim_results=true", ssl=tls, compression=None, max_size=None
    ) as socket:
        began_s = time.monotonic()

        async def read() -> None:
            async for message in socket:
                result = json.loads(message)
                if result["type"] == "Results" and result["is_final"]:
                    for word in result["channel"]["alternatives"][0]["words"]:
                        words.append(word["word"])
                        delays_s.append(time.monotonic() - began_s - word["end"])

        reading = asyncio.create_task(read())
        for number, start in enumerate(range(0, len(pcm), size)):
            await asyncio.sleep(max(0.0, began_s + number * CHUNK_S - time.monotonic()))
            await socket.send(pcm[start : start + size])
        await socket.send('{"type":"CloseStream"}')
        await reading
    return Healthy(" ".join(words), tuple(delays_s))


async def healthy_until(
    url: str, samples: np.ndarray, over: asyncio.Event, tls: ssl.SSLContext | None = None
) -> list[Healthy]:
    """Streams one after the other, at least one, until `over` is set."""
    streams: list[Healthy] = []
    while not (streams and over.is_set()):
        try:
            streams.append(await healthy(url, samples, tls))
        except InvalidStatus as refused:  # the attack takes places, too: a client tries again
            print(f"a healthy stream was refused: {refused.response.body!r}", file=sys.stderr)
            await asyncio.sleep(RETRY_S)
    return streams
