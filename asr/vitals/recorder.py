"""Gathers the numbers of each utterance while its session runs: frames, hypotheses and committed words.

All positions are samples of the stream, and nothing depends on when a step came: the same samples give the same
numbers. A recorder is part of its session, and saved with it.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.events import Measured
from asr.models.base import Piece
from asr.vitals.names import NAMES
from asr.vitals.sound import COLUMNS, FRAME_SAMPLES, SPEECH, acoustic, frame_numbers

BEFORE_S = 2.0
"""So much of the silence before an utterance is measured with it: its noise."""
UNSURE = 0.5
"""Words below this confidence are unsure."""
LEAST_SPEECH_S = 0.3
"""With so much speech and no word an utterance is wordless."""
_PAUSE_FRAMES = 8
"""Frames in a row that are no speech, and a pause: 0.26 s."""
_MOST = 60_000.0
"""The largest number that float16 holds, nearly."""


@dataclass(slots=True)
class _Counts:
    """What was counted since the last utterance ended."""

    loops: int = 0
    restarts: int = 0
    revised: int = 0
    doubts: int = 0
    words: int = 0
    letters: int = 0
    accent: float = math.nan
    tokens: int = 0
    confidences: list[float] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    """Dropped when the numbers are made."""


class Recorder:
    """The vitals of one session's utterances."""

    def __init__(self, terms: Sequence[str] = ()) -> None:
        self._terms = tuple(term.casefold().strip() for term in terms)
        self._frames: list[np.ndarray] = []
        self._probabilities: list[np.ndarray] = []
        self._first = 0
        self._begin: int | None = None
        self._last_end = 0
        self._utterance = 0
        self._counts = _Counts()

    def receive(self, samples: np.ndarray, probabilities: np.ndarray) -> None:
        """Takes frames of samples ``(n * 512,)`` and their speech probabilities ``(n,)``."""
        self._frames.append(frame_numbers(samples))
        self._probabilities.append(np.asarray(probabilities, np.float32))

    def open(self, start: int) -> None:
        """An utterance begins at this sample, if none is open."""
        if self._begin is None:
            self._begin = start

    def decode(
        self, before: Sequence[Piece], after: Sequence[Piece], looped: bool, accent: float | None = None
    ) -> None:
        """Words that were not final yet were recognised again. The last window's accent counts."""
        changed = sum(a.text != b.text for a, b in zip(before, after, strict=False))
        self._counts.revised += changed + max(0, len(before) - len(after))
        self._counts.loops += looped
        if accent is not None:
            self._counts.accent = accent

    def restart(self) -> None:
        """The window was recognised again from another sample."""
        self._counts.restarts += 1

    def doubt(self) -> None:
        """A hypothesis was not accepted."""
        self._counts.doubts += 1

    def commit(self, words: Sequence[Piece]) -> None:
        """These words are final."""
        counts = self._counts
        counts.words += len(words)
        counts.tokens += sum(len(word.tokens) for word in words)
        counts.letters += sum(len(word.text.strip()) for word in words)
        counts.confidences += [word.confidence for word in words]
        counts.text += [word.text for word in words]

    def finish(self, end: int, language: str, finalized: bool) -> Measured:
        """The numbers of the utterance that ends at this sample."""
        start = self._last_end if self._begin is None else self._begin
        first = max(self._last_end, start - round(BEFORE_S * SAMPLE_RATE_HZ))
        frames, probabilities = self._between(first, end)
        numbers: dict[str, float] = dict(acoustic(frames, probabilities)) if len(frames) else {}
        numbers |= _behaviour(probabilities, (end - start) / SAMPLE_RATE_HZ, self._counts.words)
        numbers |= self._text_numbers(numbers.get("speech_share", 0.0) * len(probabilities))
        numbers |= {"finalized": float(finalized), "gap_s": (start - self._last_end) / SAMPLE_RATE_HZ}
        measured = Measured(
            utterance=self._utterance,
            audio_s=(end - start) / SAMPLE_RATE_HZ,
            language=language,
            words=self._counts.words,
            numbers=tuple(_bounded(numbers.get(name, math.nan)) for name in NAMES),
        )
        self._utterance, self._last_end, self._begin, self._counts = self._utterance + 1, end, None, _Counts()
        return measured

    def forget(self, before: int) -> None:
        """No utterance will begin before this sample; frames from before its silence are dropped."""
        begins = before if self._begin is None else min(before, self._begin)
        keep = max(0, begins - round(BEFORE_S * SAMPLE_RATE_HZ)) // FRAME_SAMPLES
        while self._frames and self._first + len(self._frames[0]) <= keep:
            self._first += len(self._frames.pop(0))
            self._probabilities.pop(0)

    def _between(self, first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        frames = np.concatenate([np.zeros((0, COLUMNS), np.float32), *self._frames])
        probabilities = np.concatenate([np.zeros(0, np.float32), *self._probabilities])
        part = slice(max(0, first // FRAME_SAMPLES - self._first), max(0, -(-end // FRAME_SAMPLES) - self._first))
        return frames[part], probabilities[part]

    def _text_numbers(self, speech_frames: float) -> dict[str, float]:
        counts = self._counts
        speech_s = speech_frames * FRAME_SAMPLES / SAMPLE_RATE_HZ
        numbers = {
            "wordless": float(not counts.words and speech_s >= LEAST_SPEECH_S),
            "loops": float(counts.loops),
            "restarts": float(counts.restarts),
            "revised": counts.revised / max(1, counts.words),
            "doubts": float(counts.doubts),
            "accent": counts.accent,
        }
        text = "".join(counts.text).casefold().strip()
        if self._terms:
            given = sum(term in text for term in self._terms)
            numbers |= {"terms_asked": float(len(self._terms)), "terms_given": float(given)}
        if not counts.words:
            return numbers
        confidences, data = np.array(counts.confidences), text.encode()
        return numbers | {
            "confidence": float(confidences.mean()),
            "low_confidence": float(confidences.min()),
            "unsure_share": float((confidences < UNSURE).mean()),
            "tokens_per_word": counts.tokens / counts.words,
            "characters_per_word": counts.letters / counts.words,
            "compression": len(zlib.compress(data)) / max(1, len(data)),
            "distinct": len({word.casefold() for word in counts.text}) / counts.words,
        }


def _behaviour(probabilities: np.ndarray, length_s: float, words: int) -> dict[str, float]:
    is_speech = probabilities >= SPEECH
    if not is_speech.any():
        return {"length_s": length_s, "speech_share": 0.0}
    inside = is_speech[is_speech.argmax() : len(is_speech) - is_speech[::-1].argmax()]
    edges = np.flatnonzero(np.diff(np.concatenate([[1], inside.astype(int), [1]])))
    pauses = (edges[1::2] - edges[::2]) if len(edges) else np.zeros(0, int)
    pauses = pauses[pauses >= _PAUSE_FRAMES]
    frame_s = FRAME_SAMPLES / SAMPLE_RATE_HZ
    return {
        "length_s": length_s,
        "speech_share": float(is_speech.mean()),
        "words_per_s": words / (is_speech.sum() * frame_s),
        "pauses_per_s": len(pauses) / (len(inside) * frame_s),
        "longest_pause_s": float(pauses.max(initial=0) * frame_s),
        "voiced": float(probabilities[is_speech].mean()),
    }


def _bounded(value: float) -> float:
    return value if math.isnan(value) else min(max(float(value), -_MOST), _MOST)
