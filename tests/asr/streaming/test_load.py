"""Finals follow the audio alone: not how busy the engine is, and not how often words are shown meanwhile.

The model here is unreal, and fickle: each word that it writes depends on all that the window holds, and so does what it
remembers. So whatever an early window leaves behind in the session changes words. What was changed in
`asr.streaming.session` and `asr.streaming.schedule`, each found by this test: an early hypothesis becomes the tail,
leaves its memory or its language, counts as a doubt or as the window that was decoded; updates get the words on screen
as their draft, hold those, have less detail, or take what was decoded ahead; an early window moves the next update.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.engine import Engine
from asr.events import Event, Final, Partial
from asr.models.base import Hypothesis, Piece, Window
from asr.streaming.vad import FRAME_SAMPLES
from tests.asr.streaming.scripted import STREAM, VAD, Memory, SampleVad, Scripted, tokens
from tests.properties import finish

WORD_S = 0.3
AGILE = replace(
    STREAM,
    update_ms=640,
    holdback_ms=300,
    unsure_holdback_ms=300,
    long_window_s=4.0,
    long_holdback_ms=200,
    hold_s=0.5,
    gap_s=1.0,
)


class Fickle(Scripted):
    """Unreal: a word for each 0.3 s, spelled by a checksum of the window. Now and then its text ends early."""

    def __init__(self) -> None:
        super().__init__([])

    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        return [self._guess(window) for window in windows]

    def _guess(self, window: Window) -> Hypothesis:
        known = window.memory.count if isinstance(window.memory, Memory) else 0
        held = (window.draft, window.held, window.prefix, window.language, known, window.settings.settle_s)
        chance = np.random.default_rng([zlib.crc32(window.samples.tobytes()), zlib.crc32(repr(held).encode())])
        first, count = len(window.prefix) // 2, int(len(window.samples) / SAMPLE_RATE_HZ / WORD_S)
        if chance.random() < 0.1:
            count -= 5
        spelled = chance.choice(["x", "y", "z"], max(count, 0), p=[0.8, 0.1, 0.1])
        words = [f" {i}{spelled[i]}" for i in range(first, count)]
        pieces = [
            Piece(word, tokens(word), i * WORD_S, (i + 1) * WORD_S, 0.9) for i, word in enumerate(words, start=first)
        ]
        language = ("en", "de")[int(chance.random() < 0.2)]
        return Hypothesis(tuple(pieces), language, memory=Memory(int(chance.integers(1 << 30))))


def talk(chance: np.random.Generator) -> np.ndarray:
    """Twenty runs of speech with closures and pauses between; Silero hears the last sound some frames longer."""
    frames: list[tuple[float, float]] = []
    for _ in range(20):
        quiet, late = int(chance.choice([1, 2, 3, 5, 9, 14, 24])), int(chance.integers(0, 5))
        frames += [(0.9, 0.3)] * int(chance.integers(8, 70))
        frames += [(0.9 if i < late else 0.0, 1e-4) for i in range(quiet)]
    samples = np.concatenate([chance.normal(0.0, level, FRAME_SAMPLES) for _, level in frames]).astype(np.float32)
    samples[::FRAME_SAMPLES] = [heard for heard, _ in frames]
    return samples


def finals(samples: np.ndarray, requests: Sequence[int], load: Iterator[tuple[float, int]]) -> tuple[list[Event], int]:
    """All events but partials, and the number of those. `requests`: the chunks of 20 ms behind which the client
    finalizes. `load`: for each chunk the interval of early windows and how many steps there is time for."""
    engine = Engine(Fickle(), SampleVad())
    session, events = engine.open(SessionSettings(VAD, AGILE)), list[Event]()
    for place, start in enumerate(range(0, len(samples), 320)):
        show_s, steps = next(load)
        session.show_every(show_s)
        session.receive_audio(samples[start : start + 320])
        if place in requests:
            session.receive_finalize()
        while steps and session.ready:
            engine.step([session])
            steps -= 1
        events += session.take_events()
    events += finish(engine, session)
    return [event for event in events if not isinstance(event, Partial)], sum(isinstance(e, Partial) for e in events)


def changing(chance: np.random.Generator) -> Iterator[tuple[float, int]]:
    """Idle, busy and behind for some chunks each."""
    while True:
        show_s, steps = [(0.2, 9), (0.64, 9), (0.0, 9), (0.3, 1), (0.0, 0)][int(chance.integers(5))]
        yield from [(show_s, steps)] * int(chance.integers(1, 60))


@pytest.mark.parametrize("seed", range(25))
def test_a_load_that_changes_within_a_stream_changes_no_final(seed: int) -> None:
    """The same finals, to the last time and confidence, as of an engine that shows no word early and is never late."""
    chance = np.random.default_rng(seed)
    samples = talk(chance)
    requests = chance.integers(0, len(samples) // 320, 8).tolist()
    never, few = finals(samples, requests, iter(lambda: (0.0, 9), None))
    early, many = finals(samples, requests, changing(chance))
    assert early == never
    assert many > few
    assert sum(isinstance(event, Final) and bool(event.words) for event in never) > 10
