"""Follows streams whose speakers agreed, and hands each utterance with its audio to the writer."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.events import Event, Final, SpeechStarted, Word
from server.clips.store import Clip, ClipStore, ClipWord
from server.clips.writer import ClipWriter
from server.config import CollectSettings
from server.metrics import Metrics
from server.streams.witness import Witness
from server.workers.messages import Audio, Call

MARGIN_S = 0.3
"""Kept before and after the speech, so that no first or last sound is cut."""
MAX_HELD_S = 90.0
"""Audio of one channel in memory: 2.9 MB. An utterance that began earlier is not kept."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A stream whose utterances are kept. ``consent`` and ``client`` are hashes."""

    consent: str
    name: str
    release: int
    stream_id: str
    client: str


class Collector:
    """What one server keeps."""

    def __init__(self, settings: CollectSettings, metrics: Metrics) -> None:
        """Raises `ClipError` where the folder cannot be used."""
        from server.clips.store import open_store

        self._store: ClipStore = open_store(settings.folder)
        self._writer = ClipWriter(self._store, metrics, retain_days=settings.retain_days, max_bytes=settings.max_bytes)

    @property
    def folder(self) -> Path:
        """Where the clips are."""
        return self._store.folder

    def origin(self, consent: str, name: str, release: int, stream_id: str, client: str) -> Origin:
        """The stream that named this consent."""
        return Origin(self._store.hash_of(consent), name, release, stream_id, client)

    def follow(self, origin: Origin, channels: int) -> Sequence[Witness]:
        """A witness for each channel of the stream."""
        return [_Channel(origin, channel, self._writer) for channel in range(channels)]

    def add_second(self, origin: Origin, release: int, channels: Sequence[Sequence[Word]]) -> None:
        """Another release's words of the stream, by channel."""
        words = [[_clip_word(word, 0.0) for word in channel] for channel in channels]
        size_bytes = 200 + 100 * sum(map(len, words))
        self._writer.put(lambda store: store.add_second(origin.consent, origin.stream_id, release, words), size_bytes)

    def stop(self) -> None:
        """Writes what waits; blocks for a moment."""
        self._writer.stop()


class _Channel:
    """A `server.streams.witness.Witness`: the audio since the last utterance, and the words of the one that is open."""

    def __init__(self, origin: Origin, channel: int, writer: ClipWriter) -> None:
        self._origin, self._channel, self._writer = origin, channel, writer
        self._blocks: deque[np.ndarray] = deque()
        self._first = self._next = 0
        """The samples that are held, counted from the stream's start: from ``first`` up to ``next``."""
        self._utterance = 0
        self._start_s: float | None = None
        self._words: list[Word] = []
        self._language = ""

    def receive(self, call: Call) -> None:
        """Holds the audio, `MAX_HELD_S` at most."""
        if not isinstance(call, Audio):
            return
        block = np.round(np.clip(call.samples, -1.0, 1.0) * 32767).astype(np.int16)
        self._blocks.append(block)
        self._next += len(block)
        self._release_before(self._next - round(MAX_HELD_S * SAMPLE_RATE_HZ))

    def say(self, events: Sequence[Event], received_s: float) -> None:
        """Notes what is said; an utterance that ends goes to the writer."""
        for event in events:
            if isinstance(event, SpeechStarted) and self._start_s is None:
                self._start_s = event.at_s
            elif isinstance(event, Final):
                self._words += event.words
                self._language = event.language or self._language
                if self._start_s is None and event.words:
                    self._start_s = event.start_s
                if event.ends_utterance:
                    self._end(event.end_s)

    def close(self, cause: str) -> None:
        """An utterance without an end is not kept: its text is not whole."""
        self._blocks.clear()
        self._words.clear()

    def _end(self, end_s: float) -> None:
        if self._start_s is not None:
            self._keep(self._start_s, max(end_s, *(word.end_s for word in self._words), self._start_s))
        self._utterance += 1
        self._release_before(round((end_s - MARGIN_S) * SAMPLE_RATE_HZ))
        self._start_s, self._words = None, []

    def _keep(self, start_s: float, end_s: float) -> None:
        first = max(0, round((start_s - MARGIN_S) * SAMPLE_RATE_HZ))
        last = min(self._next, round((end_s + MARGIN_S) * SAMPLE_RATE_HZ))
        if first < self._first or last <= first:
            return self._writer.drop("long")
        samples = np.concatenate(self._blocks)[first - self._first : last - self._first]
        start_s = first / SAMPLE_RATE_HZ
        origin = self._origin
        clip = Clip(
            consent=origin.consent,
            at_s=time.time(),
            name=origin.name,
            release=origin.release,
            stream_id=origin.stream_id,
            client=origin.client,
            channel=self._channel,
            utterance=self._utterance,
            language=self._language,
            start_s=start_s,
            end_s=last / SAMPLE_RATE_HZ,
            words=tuple(_clip_word(word, start_s) for word in self._words),
        )
        self._writer.put(lambda store: store.add(clip, samples), samples.nbytes + 100 * len(clip.words) + 500)

    def _release_before(self, sample: int) -> None:
        while self._blocks and self._first + len(self._blocks[0]) <= sample:
            self._first += len(self._blocks.popleft())


def _clip_word(word: Word, start_s: float) -> ClipWord:
    return ClipWord(word.text, word.start_s - start_s, word.end_s - start_s, word.confidence)
