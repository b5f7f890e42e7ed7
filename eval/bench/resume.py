"""`asr bench resume`: many streams over a network that breaks, each compared with an undisturbed one.

Every final must be there once, with the same text and times; the server must have received each byte of audio once; and
afterwards every place must be free.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from asr.events import Ended, Event, Final, SpeechStarted
from eval.bench.broken_network import BrokenNetwork, plans
from eval.bench.tables import print_line
from eval.progress import progress
from eval.report.terminal import print_signature
from eval.runs.capacity import read_clips
from eval.runs.setup import load_datasets, server_at, service_key, sign_run, utterances_of
from eval.runs.signature import Model
from server.client.protocol import CHUNK_S, Message, StreamError, listen_url, pcm16, read_message
from server.client.resuming import ResumingStream
from server.client.stream import Refused, stream

CLIPS = 8
"""Different recordings; they are streamed in turn."""
BREAKS = 6
"""At most, in one stream. Fifty are a test of their own."""
RATE_HZ = 16_000
BYTES_PER_S = 2 * RATE_HZ
RESUMABLE_S = 30
PLACES_FREE_S = 2.0 * RESUMABLE_S
FULL, RETRY_S = 503, 5.0
"""A server that has no place or no time for another stream says so, and when to come back."""


@dataclass(slots=True)
class Outcome:
    """What all streams together came to."""

    streams: int = 0
    breaks: int = 0
    sent_bytes: int = 0
    audio_bytes: int = 0
    refused: int = 0
    """How often a stream had to come back later, before it began: no fault, but the load is more than the server has
    places or time for."""
    different: list[str] = field(default_factory=list)
    """One line for each stream that is not as the undisturbed one."""

    @property
    def sent_again(self) -> float:
        """The share of the audio that was sent more than once."""
        return self.sent_bytes / self.audio_bytes - 1.0 if self.audio_bytes else 0.0


def run(
    data: Sequence[Path],
    load: tuple[int, int, float, int],
    url: str | None,
    model: str,
    workers: int | None,
    clip_s: float,
    key_env: str = "",
) -> bool:
    """The command; `load` is the number of streams, how many at once, their pace and the seed. False: one differs."""
    streams, at_once, pace, seed = load
    key = service_key(key_env)
    datasets = load_datasets(data, minutes=CLIPS * clip_s / 60, join_s=clip_s)
    utterances = utterances_of(datasets)
    mean_s = sum(u.duration_s for u in utterances) / len(utterances)
    with progress("bench resume", streams * mean_s) as bar, server_at(url, None, model, None, workers) as server:
        recordings = [pcm16(recording.samples) for recording in read_clips(utterances, bar)]
        outcome = asyncio.run(
            compare(
                server.url,
                recordings,
                streams=streams,
                seed=seed,
                at_once=at_once,
                pace=pace,
                key=key,
                on_stream=lambda outcome: bar.advance(mean_s),
            )
        )
        free_s = places_free_s(server.url, key)
    results = {
        "streams": outcome.streams,
        "breaks": outcome.breaks,
        "refused": outcome.refused,
        "different": outcome.different,
        "sent_again": round(outcome.sent_again, 3),
        "places_free_after_s": free_s,
    }
    for name, value in results.items():
        print(f"{name}: {value}")
    signature = sign_run(datasets, Model(model, "", "", None), None, {"load": load, "clip_s": clip_s})
    print_signature(signature)
    print_line("resume", signature, results)
    return not outcome.different and free_s is not None


async def compare(
    url: str,
    recordings: Sequence[bytes],
    *,
    streams: int,
    seed: int,
    at_once: int,
    pace: float,
    breaks: int = BREAKS,
    silence_s: float = 3.0,
    vad_events: bool = True,
    key: str = "",
    on_stream: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Streams the recordings (linear16, 16 kHz) in turn, `at_once` at a time, `pace` seconds of audio in a second."""
    address = listen_url(url, encoding="linear16", sample_rate=RATE_HZ, vad_events=vad_events)
    wanted = [await _undisturbed(address, audio, key) for audio in recordings]
    outcome = Outcome()
    numbers = iter(range(streams))

    async def client() -> None:
        for number in numbers:
            which = number % len(recordings)
            audio = recordings[which]
            longest_s = len(audio) / BYTES_PER_S / pace / 3
            following = plans(seed * 1_000_000 + number, breaks, longest_s, round(pace * BYTES_PER_S))
            async with BrokenNetwork(*_host(address), following) as network:
                through = address.replace(urlsplit(address).netloc, f"127.0.0.1:{network.port}", 1)
                while (found := await _broken(through, audio, pace, silence_s, key)) is None:
                    outcome.refused += 1
                    await asyncio.sleep(RETRY_S)
            outcome.streams += 1
            outcome.breaks += network.broken
            outcome.sent_bytes += network.forwarded_bytes
            outcome.audio_bytes += len(audio)
            if found != wanted[which]:
                outcome.different.append(f"stream {number}: {_difference(found, wanted[which])}")
            on_stream(outcome)

    async with asyncio.TaskGroup() as clients:
        for _ in range(at_once):
            clients.create_task(client())
    return outcome


async def _undisturbed(address: str, audio: bytes, key: str) -> list[Event | str]:
    received = _Received()
    await stream(address, _chunks(audio, 0.0), received.messages.append, read=received.read, key=key)
    return received.events


async def _broken(address: str, audio: bytes, pace: float, silence_s: float, key: str) -> list[Event | str] | None:
    """What a stream received; None for one that was refused before it began."""
    received = _Received()
    streaming = ResumingStream(
        address,
        received.messages.append,
        bytes_per_s=BYTES_PER_S,
        frame_bytes=2,
        read=received.read,
        resumable_s=RESUMABLE_S,
        silence_s=silence_s,
        key=key,
    )
    try:
        await streaming.run(_chunks(audio, pace))
    except StreamError as error:
        if isinstance(error, Refused) and error.status == FULL and not received.messages:
            return None
        return [*received.events, str(error)]
    return received.events


async def _chunks(audio: bytes, pace: float) -> AsyncIterator[bytes]:
    """In chunks of an odd number of bytes, so that breaks cut samples."""
    size = round(CHUNK_S * BYTES_PER_S) + 1
    for start in range(0, len(audio), size):
        if pace:
            await asyncio.sleep(CHUNK_S / pace)
        yield audio[start : start + size]


class _Received:
    """The messages that one client receives."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._sha256 = ""

    def read(self, text: str | bytes) -> Message:
        """As `read_message`; notes the hash of the audio that the server has received."""
        self._sha256 = json.loads(text).get("sha256", self._sha256)
        return read_message(text)

    @property
    def events(self) -> list[Event | str]:
        """Everything but interim results, in the order in which it came, and the hash of the audio."""
        events = [message.event for message in self.messages]
        return [*(event for event in events if isinstance(event, Final | SpeechStarted | Ended)), self._sha256]


def _difference(found: Sequence[object], wanted: Sequence[object]) -> str:
    at = next((i for i, pair in enumerate(zip(found, wanted, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return f"{len(found)} events, wanted {len(wanted)}; the next is {[*found, *wanted][-1]}"
    return f"event {at} is {found[at]}, wanted {wanted[at]}"


def _host(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    return parts.hostname or "127.0.0.1", parts.port or 80


def places_free_s(url: str, key: str = "") -> float | None:
    """How long after now all places are free; None if they are not within `PLACES_FREE_S`."""
    began_s = time.monotonic()
    host, port = _host(url)
    headers = {"Authorization": f"Token {key}"} if key else {}
    while time.monotonic() < began_s + PLACES_FREE_S:
        with urlopen(Request(f"http://{host}:{port}/metrics", headers=headers), timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        if {"asr_open_streams 0.0", "asr_detached_streams 0.0"} <= set(lines):
            return time.monotonic() - began_s
        time.sleep(0.2)
    return None
