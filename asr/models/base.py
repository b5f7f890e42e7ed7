"""The contract between the engine and every model: windows of audio in, hypotheses out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

import numpy as np

from asr.config import SAMPLE_RATE_HZ, DecodeSettings


@dataclass(frozen=True, slots=True)
class Piece:
    """One word of a hypothesis with its tokens. Times are seconds from the window's first sample."""

    text: str
    tokens: tuple[int, ...]
    start_s: float
    end_s: float
    confidence: float


class ModelMemory:
    """What a model keeps from one window of an utterance for the next. Each recogniser has its own subclass.

    The session stores it between two windows and never looks into it.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The audio of one utterance that the model sees, and what is known about it.

    ``samples``: ``(n,)``, mono float32 at 16 kHz. ``speech_s``: how much of it is speech. ``pauses``: its silences,
    start and end in seconds from its first sample.

    ``context``: tokens of committed text from before the window. ``prefix``: tokens of committed words whose audio is
    still in the window; the hypothesis continues them and never changes them. ``draft``: tokens of the previous
    hypothesis after the prefix; it makes decoding faster (one forward pass checks it all) and does not change the text.
    ``held``: this many tokens of the draft are kept unless others are clearly more probable
    (`DecodeSettings.hold_nats`).
    ``hotwords``: words to expect, preferred where they are likely.

    ``prefix_end_s``: where the prefix ends. ``may_change_language``: nobody chose the language, so the speech after the
    prefix may be in another one, see `Hypothesis.read_s`. ``usual_language``: that of most of the talk before; a
    window is in another one only on strong evidence. ``wants_accent``: `Hypothesis.accent` is wanted.

    The times of the first ``known_tokens`` of the prefix, up to ``known_until_s``, are final. Do not compute them.

    ``memory``: the model's own, from the previous window, so that it computes only what is new. That window began at
    the same sample, or earlier by the samples that its hypothesis ``released``.
    """

    samples: np.ndarray
    language: str | None = None
    context: tuple[int, ...] = ()
    prefix: tuple[int, ...] = ()
    draft: tuple[int, ...] = ()
    held: int = 0
    hotwords: tuple[str, ...] = ()
    speech_s: float = 0.0
    pauses: tuple[tuple[float, float], ...] = ()
    known_tokens: int = 0
    known_until_s: float = 0.0
    prefix_end_s: float = 0.0
    may_change_language: bool = False
    usual_language: str | None = None
    wants_accent: bool = False
    memory: ModelMemory | None = None
    settings: DecodeSettings = field(default_factory=DecodeSettings)

    def first(self, end_s: float) -> "Window":
        """The window up to a time after its prefix, without memory."""
        pauses = tuple((a, min(b, end_s)) for a, b in self.pauses if a < end_s)
        silence_s = sum(b - a for a, b in pauses)
        return replace(
            self,
            samples=self.samples[: round(end_s * SAMPLE_RATE_HZ)],
            speech_s=min(self.speech_s, end_s - silence_s),
            pauses=pauses,
            memory=None,
        )

    def rest(self, start_s: float) -> "Window":
        """The window from a time after its prefix, without memory, prefix and draft."""
        pauses = tuple((max(a, start_s) - start_s, b - start_s) for a, b in self.pauses if b > start_s)
        samples = self.samples[round(start_s * SAMPLE_RATE_HZ) :]
        silence_s = sum(b - a for a, b in pauses)
        return replace(
            self,
            samples=samples,
            prefix=(),
            draft=(),
            speech_s=min(self.speech_s, len(samples) / SAMPLE_RATE_HZ - silence_s),
            pauses=pauses,
            known_tokens=0,
            known_until_s=0.0,
            prefix_end_s=0.0,
            memory=None,
        )


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The words of a window after its prefix. They may change with the next window.

    ``looped``: the repetition guard cut the text. ``memory``: the model's own, for the next window.

    ``read_s``: only this much of the window was read, because another language begins there. The rest is to be decoded
    as a window of its own. None: all of it was read.

    ``accent``: how much it sounds like accented speech, in log odds; None if not asked for, or unknown to the model.

    Only models of `Finality.SETTLED` set ``settled`` and ``released``. ``settled``: this many leading pieces can no
    longer change; the session commits them, and the model does not repeat them in the next hypothesis. ``released``:
    the model no longer needs this many samples at the window's start. The next window begins behind them, and its
    pieces may begin before it, at negative times.
    """

    pieces: tuple[Piece, ...]
    language: str
    looped: bool = False
    memory: ModelMemory | None = None
    read_s: float | None = None
    settled: int = 0
    released: int = 0
    accent: float | None = None


class Finality(Enum):
    """How it is known that a word of a hypothesis is final. `asr.streaming.commit` has one policy for each."""

    AGREEMENT = "agreement"
    """The model cannot know: any word may change with the next window. Successive hypotheses are compared."""
    SETTLED = "settled"
    """The model knows, and says it in `Hypothesis.settled`."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A word of a given text and when it is spoken, in seconds; ``score`` from 0 to 1.

    ``characters``: each with its start and end in seconds, if the model can tell.
    """

    text: str
    start_s: float
    end_s: float
    score: float
    characters: tuple[tuple[str, float, float], ...] = ()


class Recogniser(Protocol):
    """A model with its search.

    ``languages``: codes of the languages that the model knows; empty if it does not say. ``update_ms``: how much new
    audio it wants between two hypotheses, unless the settings say. ``finality``: which commit policy its streams need.

    ``translates``: whether it follows `DecodeSettings.translate`.

    ``aligner``: the name of the method that `place` uses. `place` takes at most ``longest_placed_s`` of audio.
    ``places_silence``: the silence between words is not part of their spans.
    """

    name: str
    architecture: str
    weights_sha256: str
    precision: str
    languages: tuple[str, ...]
    update_ms: int
    finality: Finality
    translates: bool
    aligner: str
    longest_placed_s: float
    places_silence: bool

    def compile(self) -> None:
        """Prepares for long work, if that takes time which a short recording does not win back. Changes no result."""
        ...

    def recognise(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """One hypothesis for each window. The text of a window does not depend on the others in the batch."""
        ...

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a prompt, without special tokens; empty for models that take none."""
        ...

    def place(self, samples: np.ndarray, text: str, language: str | None = None) -> list[Placed]:
        """When each word of a text is spoken in samples ``(n,)``. Raises `CallerError` if the text does not fit."""
        ...
