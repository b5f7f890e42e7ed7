"""A recording and its text -> word times with scores, by whichever model there is."""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from asr.align.speech import SpeechRuns, speech_runs
from asr.align.windows import Stretch, stretches
from asr.config import SAMPLE_RATE_HZ, SHORTEST_PAUSE_S
from asr.engine import Engine
from asr.models.base import Placed
from asr.streaming.vad import FRAME_S
from asr.transcripts.recording import Source, blocks, transcribe

_MARGIN_S = 0.15
"""A word's beginning as attention tells it may be so far off."""

_SHORTEST_WORD_S = 0.06


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
    """The recording whole where the model can see it so, else cut where a rough transcript says that one can."""
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
    duration_s = len(speech.probabilities) * FRAME_S
    spans = [[0.0, 0.0], *([word.start_s, word.end_s] for word in words), [duration_s, duration_s]]
    for left, right in itertools.pairwise(spans):
        _part_at_pause(left, right, speech)
    trimmed = [speech.trim(start_s, end_s) for start_s, end_s in spans[1:-1]]
    return [replace(word, start_s=start_s, end_s=end_s) for word, (start_s, end_s) in zip(words, trimmed, strict=True)]


def _part_at_pause(left: list[float], right: list[float], speech: SpeechRuns) -> None:
    """Moves the end of the left and the beginning of the right span to the pause between them, if there is one.

    Attention marks a word's beginning, though often within the pause before it; it says little of the word's end. So
    the pause is looked for between the two beginnings, and may reach beyond the second.
    """
    right[0] = max(right[0], left[1])
    from_s = left[0] + min(_MARGIN_S, (left[1] - left[0]) / 2)
    until_s = right[0] + min(_MARGIN_S, (right[1] - right[0]) / 2)
    pause = speech.pause(from_s, until_s)
    if pause.length_s > SHORTEST_PAUSE_S:
        left[1], right[0] = max(pause.start_s, left[0]), pause.end_s
    right[1] = max(right[1], right[0] + _SHORTEST_WORD_S)
