"""What uploads cost a live stream: the delay of its words alone, and beside long recordings that are being recognised.

    python -m scripts.uploads_cost --uploads 6 --rounds 3 --audio speech.flac

A server of its own with one worker. In each round the live stream comes alone, and then beside the uploads, which have
begun before it and are still at it when it ends. A word's delay is the time from its end to its final at the client.
Exit code 1: a text changed, an upload ended too early, or the 95th percentile is more than `--max-ratio` times as long.
"""

import argparse
import asyncio
import contextlib
import io
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import soundfile

from asr.audio.files import read_blocks
from asr.config import DEFAULT_MODEL, SAMPLE_RATE_HZ
from asr.self_test import SAMPLE
from scripts.hostile.healthy import Healthy, healthy
from scripts.hostile.measured import OwnServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=6, help="at the same time")
    parser.add_argument("--minutes", type=float, default=5.0, help="of each upload")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=24.0, help="of the live stream")
    parser.add_argument("--audio", type=Path, default=SAMPLE, help="what is said, again and again")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--max-ratio", type=float, default=1.2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = OwnServer(options.model, 1, Path(folder))
        try:
            server.wait_until_ready()
            faults = asyncio.run(measure(server.url, options))
        finally:
            server.process.terminate()
            server.process.wait(60)
    print("\n".join(faults) or "live streams go first")
    raise SystemExit(bool(faults))


async def measure(url: str, options: argparse.Namespace) -> list[str]:
    """Prints the delays; returns what is wrong with them."""
    said = np.concatenate(list(read_blocks(options.audio)))
    spoken, recording = _tiled(said, options.seconds), _wav(_tiled(said, 60 * options.minutes))
    alone: list[Healthy] = []
    beside: list[Healthy] = []
    ended = 0
    for _ in range(options.rounds):
        alone.append(await healthy(url, spoken))
        async with uploads(url, recording, options.uploads) as running:
            beside.append(await healthy(url, spoken))
            ended += sum(task.done() for task in running)
    without, within = (np.quantile([d for one in part for d in one.delays_s], (0.5, 0.95)) for part in (alone, beside))
    for name, (median, p95) in (("alone", without), (f"beside {options.uploads} uploads", within)):
        print(f"{name:20} p50 {median:.3f} s   p95 {p95:.3f} s")
    ratio = within[1] / without[1]
    print(f"ratio of the p95     {ratio:.3f}   ({sum(len(one.delays_s) for one in alone)} words each)")
    faults = [] if {one.text for one in alone + beside} == {alone[0].text} else ["a text changed"]
    faults += [f"{ended} uploads ended before the stream: take --minutes longer ones"] if ended else []
    return faults + ([] if ratio <= options.max_ratio else ["live words wait for uploads"])


@contextlib.asynccontextmanager
async def uploads(url: str, recording: bytes, count: int) -> AsyncIterator[list[asyncio.Task[httpx.Response]]]:
    """So many uploads that the server has begun to recognise, or ended; they are given up at the end."""
    async with httpx.AsyncClient(timeout=None) as client:
        tasks = [asyncio.create_task(client.post(f"{url}/v1/listen", content=recording)) for _ in range(count)]
        while await _open_streams(client, url) < count and not any(task.done() for task in tasks):
            await asyncio.sleep(0.1)
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            while await _open_streams(client, url):
                await asyncio.sleep(0.1)


async def _open_streams(client: httpx.AsyncClient, url: str) -> float:
    lines = (await client.get(f"{url}/metrics")).text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("asr_open_streams ")))


def _tiled(samples: np.ndarray, seconds: float) -> np.ndarray:
    return np.tile(samples, max(1, round(seconds * SAMPLE_RATE_HZ / len(samples))))


def _wav(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


if __name__ == "__main__":
    main()
