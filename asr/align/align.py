"""A recording and its text -> word times with scores, by whichever model there is."""

from dataclasses import dataclass, replace

import numpy as np

from asr.align.speech import SHORTEST_PAUSE_S, SpeechRuns, speech_runs
from asr.align.windows import Stretch, stretches
from asr.config import SAMPLE_RATE_HZ
from asr.engine import Engine
from asr.models.base import Placed
from asr.transcribe import Source, blocks, transcribe

_MARGIN_S = 0.15
"""A pause this near to a word's outer end may lie within it, so inexact is attention."""


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """One word of the text. ``score`` is from 0 (is not said there) to 1; ``characters`` only from a CTC model."""

    text: str
    start_s: float
    end_s: float
    score: float
    characters: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Alignment:
    """``aligner`` says what found the times: a model's name and its method."""

    words: tuple[AlignedWord, ...]
    aligner: str
    duration_s: float

    @property
    def score(self) -> float:
        """Of the whole text: the geometric mean of the words'; 1 for an empty text."""
        logs = [np.log(max(word.score, 1e-6)) for word in self.words]
        return float(np.exp(np.mean(logs))) if logs else 1.0


def align(source: Source, text: str, engine: Engine, *, language: str | None = None) -> Alignment:
    """The words of `text` in a file, an open binary file, or mono float32 samples ``(n,)`` at 16 kHz, of any length.

    Raises `AudioError` for what cannot be decoded, `ConfigError` for a language that the model does not know, and
    `CallerError` for a text that cannot be said in the recording, or not be written with the model's letters.
    """
    pieces = list(blocks(source))
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    code = engine.language_code(language)
    if not text.split():
        return Alignment((), engine.aligner, len(samples) / SAMPLE_RATE_HZ)
    parts = _parts(samples, text, engine, code)
    words = [word for part in parts for word in _place(samples, part, engine, code)]
    if not engine.recogniser.places_silence:
        words = _trimmed(words, speech_runs(samples))
    return Alignment(tuple(words), engine.aligner, len(samples) / SAMPLE_RATE_HZ)


def _parts(samples: np.ndarray, text: str, engine: Engine, language: str | None) -> list[Stretch]:
    """The recording whole where the model can see it so, else cut where a rough transcript says that the text can be."""
    longest = round(engine.recogniser.longest_placed_s * SAMPLE_RATE_HZ)
    whole = Stretch(0, len(samples), text)
    if len(samples) <= longest:
        return [whole]
    heard = transcribe(samples, engine, language=language)
    words = [word for segment in heard.segments for word in segment.words]
    return stretches(whole, words, speech_runs(samples), longest)


def _place(samples: np.ndarray, part: Stretch, engine: Engine, language: str | None) -> list[AlignedWord]:
    if not part.text.split():
        return []
    placed = engine.recogniser.place(samples[part.start : part.end], part.text, language)
    return [_moved(word, part.start / SAMPLE_RATE_HZ) for word in placed]


def _moved(word: Placed, by_s: float) -> AlignedWord:
    characters = tuple((text, start_s + by_s, end_s + by_s) for text, start_s, end_s in word.characters)
    return AlignedWord(word.text, word.start_s + by_s, word.end_s + by_s, word.score, characters)


def _trimmed(words: list[AlignedWord], speech: SpeechRuns) -> list[AlignedWord]:
    """Words without the silence around them: attention tells roughly where words meet, and nothing of pauses.

    Where there is a pause between the insides of two words, the first ends and the second begins at it.
    """
    starts = [word.start_s for word in words]
    ends = [word.end_s for word in words]
    for i in range(len(words) - 1):
        pause = speech.pause(_inside(words[i], 0.0), _inside(words[i + 1], 1.0))
        if pause.length_s > SHORTEST_PAUSE_S:
            ends[i], starts[i + 1] = pause.start_s, pause.end_s
    spans = [speech.trim(start_s, end_s) for start_s, end_s in zip(starts, ends, strict=True)]
    return [replace(word, start_s=start_s, end_s=end_s) for word, (start_s, end_s) in zip(words, spans, strict=True)]


def _inside(word: AlignedWord, part: float) -> float:
    """A time that is surely in the word: not far from its beginning (`part` 0) or its end (1)."""
    margin_s = min(_MARGIN_S, (word.end_s - word.start_s) / 2)
    return word.end_s - margin_s if part else word.start_s + margin_s
