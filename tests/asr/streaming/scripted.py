"""Sessions without a model: recognisers that follow a script or count, and voice activity read off the samples.

Positions are counted in frames of 32 ms, and an update is due every 32 frames (1.024 s).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from asr.config import SAMPLE_RATE_HZ, SessionSettings, StreamSettings, VadSettings
from asr.engine import Engine
from asr.events import Event, Final, Partial
from asr.models.base import Finality, Hypothesis, ModelMemory, Piece, Window
from asr.streaming.buffers import SpeechCurve
from asr.streaming.session import Session
from asr.streaming.vad import FRAME_SAMPLES, VadState

UPDATE_FRAMES = 32

VAD = VadSettings(
    start_threshold=0.5,
    end_threshold=0.35,
    sure_threshold=0.7,
    min_speech_ms=64,
    pad_before_ms=0,
    pad_after_ms=320,
    ahead_ms=96,
    endpoint_ms=640,
)
"""An utterance begins with 2 frames of speech, pauses after 10 silent frames and ends after 20."""

STREAM = StreamSettings(
    update_ms=1024,
    window_soft_s=15.0,
    window_max_s=28.0,
    overlap_s=1.5,
    stall_s=0.65,
    holdback_ms=2000,
    unsure_holdback_ms=6000,
    long_window_s=math.inf,
    sure=0.7,
    collapse_s=1.0,
    gap_s=math.inf,
)
"""The settings of the rules, written out: a test of a rule does not depend on a default.

Most scripts say fewer words than there is speech, so gaps are not looked for."""


def words(text: str, start_s: float = 0.0, each_s: float = 1.0, confidence: float = 0.9) -> tuple[Piece, ...]:
    """One piece per word, each `each_s` long without gaps. A word has two tokens that depend on its text."""
    return tuple(
        Piece(f" {word}", tokens(word), start_s + i * each_s, start_s + (i + 1) * each_s, confidence)
        for i, word in enumerate(text.split())
    )


def tokens(text: str) -> tuple[int, ...]:
    """The tokens of a text's words, two each."""
    return tuple(token for word in text.split() for token in (sum(map(ord, word)), len(word)))


def curve(*runs: tuple[float, int]) -> SpeechCurve:
    """Speech probabilities: runs of a probability and its number of frames."""
    made = SpeechCurve()
    for probability, frames in runs:
        for _ in range(frames):
            made.append(probability)
    return made


def sound(*runs: tuple[float, int]) -> np.ndarray:
    """Samples ``(n * 512,)`` for `SampleVad`: runs of a speech probability and its number of frames."""
    return np.concatenate([np.full(frames * FRAME_SAMPLES, value, np.float32) for value, frames in runs])


class SampleVad:
    """Unreal: the speech probability of a frame is the value of its first sample."""

    def probabilities(self, states: Sequence[VadState], chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [chunk[::FRAME_SAMPLES].copy() for chunk in chunks]


@dataclass(frozen=True, slots=True)
class Memory(ModelMemory):
    """How many windows the scripted model, or how many numbers the counting one, is done with."""

    count: int


class Scripted:
    """Unreal: answers each window with the next hypothesis of a script, whatever its audio. Keeps the windows."""

    name, architecture, weights_sha256, precision = "scripted", "scripted", "0" * 64, "float32"
    languages: tuple[str, ...] = ()
    update_ms = 1024

    def __init__(self, script: Sequence[Hypothesis], finality: Finality = Finality.AGREEMENT) -> None:
        self.finality = finality
        self.script = list(script)
        self.windows: list[Window] = []

    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        self.windows += windows
        assert len(self.windows) <= len(self.script), f"the script has no hypothesis for window {len(self.windows)}"
        return self.script[len(self.windows) - len(windows) : len(self.windows)]

    def tokens_of(self, text: str) -> tuple[int, ...]:
        return tokens(text)


WORD_SAMPLES = 3200
RIGHT_WORDS = 2


class Counting:
    """Unreal: each 0.2 s of an utterance is the next number, whatever its sound.

    A number is settled 0.4 s after its end, and its samples are released with it.
    """

    name, architecture, weights_sha256, precision = "counting", "counting", "0" * 64, "float32"
    languages: tuple[str, ...] = ()
    update_ms = 320
    finality = Finality.SETTLED

    def __init__(self) -> None:
        self.longest = 0
        """Samples of the longest window."""

    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        return [self._count(window) for window in windows]

    def tokens_of(self, text: str) -> tuple[int, ...]:
        return ()

    def _count(self, window: Window) -> Hypothesis:
        self.longest = max(self.longest, len(window.samples))
        before = window.memory.count if isinstance(window.memory, Memory) else 0
        numbers = len(window.samples) // WORD_SAMPLES
        settled = max(0, numbers - RIGHT_WORDS)
        step_s = WORD_SAMPLES / SAMPLE_RATE_HZ
        pieces = [Piece(f" {before + i}", (i,), i * step_s, (i + 1) * step_s, 1.0) for i in range(numbers)]
        return Hypothesis(
            tuple(pieces), "en", memory=Memory(before + settled), settled=settled, released=settled * WORD_SAMPLES
        )


def hypothesis(pieces: Sequence[Piece] = (), language: str = "en", **more: object) -> Hypothesis:
    """A scripted answer; its memory is not empty, as that of a model that has decoded a window."""
    return Hypothesis(tuple(pieces), language, **{"memory": Memory(1), **more})


@dataclass(slots=True)
class Played:
    """What came out of a scripted stream."""

    session: Session
    recogniser: Scripted
    events: list[Event] = field(default_factory=list)

    @property
    def windows(self) -> list[Window]:
        return self.recogniser.windows

    @property
    def final_events(self) -> list[Final]:
        return [event for event in self.events if isinstance(event, Final)]

    @property
    def finals(self) -> list[str]:
        return [event.text.strip() for event in self.final_events]

    @property
    def shown(self) -> list[str]:
        """Finals and partials in their order: ``=`` before a final."""
        texts = [event for event in self.events if isinstance(event, Final | Partial)]
        return [("=" if isinstance(event, Final) else "") + event.text.strip() for event in texts]


def play(
    script: Sequence[Hypothesis],
    samples: np.ndarray,
    stream: StreamSettings = STREAM,
    *,
    finality: Finality = Finality.AGREEMENT,
    finalize_frame: int | None = None,
    vad: VadSettings = VAD,
    **options: object,
) -> Played:
    """One stream of these samples. Every hypothesis of the script must be asked for, and none beyond it.

    With `finalize_frame` the stream is asked to finalize after this many frames.
    """
    recogniser = Scripted(script, finality)
    engine = Engine(recogniser, SampleVad())
    played = Played(engine.open(SessionSettings(vad, stream), **options), recogniser)
    cut = (finalize_frame or 0) * FRAME_SAMPLES
    played.session.receive_audio(samples[:cut])
    if finalize_frame is not None:
        played.session.receive_finalize()
    played.session.receive_audio(samples[cut:])
    played.session.receive_end()
    while not played.session.ended:
        engine.step([played.session])
    played.events += played.session.take_events()
    asked = len(recogniser.windows)
    assert asked == len(script), f"{asked} windows were decoded; the script has {len(script)} hypotheses"
    return played
