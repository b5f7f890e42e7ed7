"""Live runs: N clients stream recordings to a server at the pace of speech -> traces as `eval.runs.replay` makes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.events import Ended, Event
from asr.normalisation.normalise import base_language, is_by_character
from eval.data.speech_bounds import speech_bounds
from eval.data.types import Recording
from eval.runs.replay import chunks, trace_of
from eval.trace import LIVE, Entry, Trace
from server.client.protocol import CHUNK_S, FINALIZE, Message, StreamError, listen_url, pcm16, read_message
from server.client.stream import stream as stream_audio

PATIENCE_S = 60.0
"""A stream that the server has not closed this long after its audio ended is abandoned; the trace has the error."""

OnTrace = Callable[[Trace], None]


@dataclass(frozen=True, slots=True)
class Target:
    """The server to ask, and how.

    Attributes:
        url: Its address.
        model: Its name in traces.
        ask_model: The model that is asked for; "" leaves it to the server.
        chunk_s: Audio in one message.
        key: Opens the service; it is in no trace, no message and not in this object's text.
        endpointing_ms: Silence that shall end an utterance; None leaves it to the server.
        finalize_after_s: The client says `Finalize` this long after the end of speech (by the recording's energy), as a
            voice agent with its own voice activity detection does; None: it never does.
    """

    url: str
    model: str
    ask_model: str = ""
    chunk_s: float = CHUNK_S
    key: str = field(default="", repr=False)
    endpointing_ms: int | None = None
    finalize_after_s: float | None = None

    def without_key(self, text: str) -> str:
        """`text` without the key: services repeat it in their refusals."""
        return text.replace(self.key, "***") if self.key else text


Streamer = Callable[[Target, Recording], Awaitable[Trace]]
"""Streams one recording over one socket."""


def run_load(
    target: Target,
    recordings: Sequence[Recording],
    streams: int,
    on_trace: OnTrace,
    *,
    stagger: bool = True,
    streamer: Streamer | None = None,
) -> None:
    """Streams all recordings, `streams` of them at a time; calls `on_trace` with each trace when it is complete.

    The longest go first: one started last would run on alone. With `stagger` the clients' starts are spread evenly
    over a second: people do not start to speak in step. A `streamer` other than `stream` speaks another wire.
    """
    asyncio.run(_run(target, recordings, streams, on_trace, 1.0 / streams if stagger else 0.0, streamer or stream))


async def _run(
    target: Target,
    recordings: Sequence[Recording],
    streams: int,
    on_trace: OnTrace,
    stagger_s: float,
    streamer: Streamer,
) -> None:
    waiting = sorted(recordings, key=lambda recording: recording.duration_s)

    async def client(number: int) -> None:
        await asyncio.sleep(number * stagger_s)
        while waiting:
            on_trace(await streamer(target, waiting.pop()))

    async with asyncio.TaskGroup() as clients:
        for number in range(streams):
            clients.create_task(client(number))


@dataclass(slots=True)
class Tape:
    """The state of one stream while it runs. Time 0 is when the first sample is spoken."""

    recording: Recording
    began: float = 0.0
    sent_s: float = 0.0
    end_wall_s: float = 0.0
    entries: list[Entry] = field(default_factory=list)
    weights_sha256: str = ""
    error: str = ""

    def begin(self) -> None:
        """The first sample is spoken now."""
        self.began = time.monotonic()

    def now_s(self) -> float:
        """Wall time since the first sample was spoken, in seconds."""
        return time.monotonic() - self.began

    def note(self, event: Event) -> None:
        """Adds an event that has arrived now."""
        self.entries.append(Entry(event, self.sent_s, self.now_s()))

    async def speak(self, chunk_s: float, cut_s: float | None = None) -> AsyncIterator[np.ndarray]:
        """The recording in chunks ``(n,)``, each when its last sample is spoken; a late one immediately.

        With `cut_s` one chunk ends at that time.
        """
        for chunk, spoken_s in chunks(self.recording.samples, chunk_s, cut_s):
            await asyncio.sleep(max(0.0, spoken_s - self.now_s()))
            yield chunk
            self.sent_s = spoken_s  # it continues here when the chunk was sent
        self.end_wall_s = self.now_s()


async def stream(target: Target, recording: Recording) -> Trace:
    """Streams one recording as a microphone would send it. A failure becomes the trace's `error`."""
    tape = Tape(recording)
    try:
        await _converse(target, tape)
    except (StreamError, TimeoutError) as error:
        tape.error = target.without_key(why(error))
    trace = trace_of(recording, LIVE, target.model, tape.entries, tape.end_wall_s)
    return replace(trace, weights_sha256=tape.weights_sha256, error=tape.error)


async def _converse(target: Target, tape: Tape) -> None:
    """Sends the recording and notes the server's messages until it closes. Raises `StreamError`, `TimeoutError`."""
    language = tape.recording.utterance.language

    def receive(message: Message) -> None:
        tape.weights_sha256 = message.weights_sha256 or tape.weights_sha256
        if message.event is not None:
            tape.note(message.event)

    read = partial(read_message, language=language, joiner=_joiner)
    try:
        async with asyncio.timeout(tape.recording.duration_s + PATIENCE_S):
            address, messages = listen_address(target, language), _messages(tape, target)
            await stream_audio(address, messages, receive, read=read, key=target.key)
    except TimeoutError:
        raise TimeoutError(f"not closed by the server {PATIENCE_S:.0f} s after the end of the stream") from None
    if not any(isinstance(entry.event, Ended) for entry in tape.entries):
        raise StreamError("the server closed the stream without its summary (Metadata)")


def listen_address(target: Target, language: str) -> str:
    """The address of a stream of 16 kHz linear16 with partials; `language` "" leaves it to the server to detect."""
    return listen_url(
        target.url,
        encoding="linear16",
        sample_rate=SAMPLE_RATE_HZ,
        channels=1,
        interim_results=True,
        vad_events=True,
        language=base_language(language) or None,
        model=target.ask_model or None,
        endpointing=target.endpointing_ms,
    )


async def _messages(tape: Tape, target: Target) -> AsyncIterator[bytes | str]:
    """The recording as the wire's audio, with `FINALIZE` at its time."""
    finalize_s = _finalize_at_s(target, tape.recording)
    samples = 0
    tape.begin()
    async for chunk in tape.speak(target.chunk_s, finalize_s):
        yield pcm16(chunk)
        samples += len(chunk)
        if finalize_s is not None and samples >= round(finalize_s * SAMPLE_RATE_HZ):
            yield FINALIZE
            finalize_s = None


def _finalize_at_s(target: Target, recording: Recording) -> float | None:
    """When the client says `Finalize`; None if never, or if the recording goes on for less than that."""
    speech = None if target.finalize_after_s is None else speech_bounds(recording.samples)
    if target.finalize_after_s is None or speech is None:
        return None
    at_s = speech.end_s + target.finalize_after_s
    return at_s if at_s < recording.duration_s else None


def _joiner(language: str) -> str:
    return "" if is_by_character(language) else " "


def why(error: Exception) -> str:
    """The error that ended a stream, as its trace keeps it."""
    return f"{type(error).__name__}: {error}"
