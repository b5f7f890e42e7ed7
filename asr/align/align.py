"""A recording and its text -> word times with scores, with a model of any architecture."""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from asr.align.speech import SpeechRuns, speech_runs
from asr.align.windows import Stretch, stretches
from asr.audio.tracks import OnNotice, ignored
from asr.config import SAMPLE_RATE_HZ, SHORTEST_PAUSE_S
from asr.engine import Engine
from asr.models.base import Placed
from asr.streaming.vad import FRAME_S
from asr.transcripts.recording import Source, blocks, transcribe

_MARGIN_S = 0.15
"""How far off the beginning of a word may be, by attention."""

_SHORTEST_WORD_S = 0.06


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """One word of the text. `score` is from 0 (not said there) to 1.

    `characters` are text, start and end in seconds of each character, from a CTC model only.
    """

    text: str
    start_s: float
    end_s: float
    score: float
    characters: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Alignment:
    """The words of the text in order. `aligner` names the model and the method that found the times."""

    words: tuple[AlignedWord, ...]
    aligner: str
    duration_s: float

    @property
    def score(self) -> float:
        """The geometric mean of the words' scores; 1 for an empty text."""
        logs = [np.log(max(word.score, 1e-6)) for word in self.words]
        return float(np.exp(np.mean(logs))) if logs else 1.0


def align(
    source: Source, text: str, engine: Engine, *, language: str | None = None, on_notice: OnNotice = ignored
) -> Alignment:
    """When each word of `text` is said in a recording of any length. `on_notice`: see `asr.audio.files.read_blocks`.

    Raises `AudioError` for a source that cannot be decoded, `ConfigError` for a language that the model does not know,
    and `CallerError` for a text that is too long for the recording or has none of the model's letters.
    """
    pieces = list(blocks(source, on_notice))
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
    """The whole recording if the model can take it, else stretches that are cut with the help of a rough transcript."""
    longest = round(engine.recogniser.longest_placed_s * SAMPLE_RATE_HZ)
    whole = Stretch(0, len(samples), text)
    if len(samples) <= longest:
        return [whole]
    transcript = transcribe(samples, engine, language=language)
    words = [word for segment in transcript.segments for word in segment.words]
    return stretches(whole, words, speech_runs(samples), longest)


def _place(samples: np.ndarray, part: Stretch, engine: Engine, language: str | None) -> list[AlignedWord]:
    """The words of one stretch of the samples ``(n,)``, with times in the recording."""
    if not part.text.split():
        return []
    placed = engine.recogniser.place(samples[part.start : part.end], part.text, language)
    return [_moved(word, part.start / SAMPLE_RATE_HZ) for word in placed]


def _moved(word: Placed, by_s: float) -> AlignedWord:
    characters = tuple((text, start_s + by_s, end_s + by_s) for text, start_s, end_s in word.characters)
    return AlignedWord(word.text, word.start_s + by_s, word.end_s + by_s, word.score, characters)


def _trimmed(words: list[AlignedWord], speech: SpeechRuns) -> list[AlignedWord]:
    """Words without the silence around them.

    Attention says roughly where words meet, and nothing about pauses. If there is a pause between the middles of two
    words, the first ends where the pause begins, and the second begins where it ends.
    """
    duration_s = len(speech.probabilities) * FRAME_S
    spans = [[0.0, 0.0], *([word.start_s, word.end_s] for word in words), [duration_s, duration_s]]
    for left, right in itertools.pairwise(spans):
        _part_at_pause(left, right, speech)
    trimmed = [speech.trim(start_s, end_s) for start_s, end_s in spans[1:-1]]
    return [replace(word, start_s=start_s, end_s=end_s) for word, (start_s, end_s) in zip(words, trimmed, strict=True)]


def _part_at_pause(left: list[float], right: list[float], speech: SpeechRuns) -> None:
    """Moves the end of the left span and the beginning of the right one to the pause between them, if there is one.

    Attention marks the beginning of a word, though often inside the pause before it, and is vague about its end. So we
    search for the pause between the two beginnings, and it may extend beyond the second.
    """
    right[0] = max(right[0], left[1])
    from_s = left[0] + min(_MARGIN_S, (left[1] - left[0]) / 2)
    until_s = right[0] + min(_MARGIN_S, (right[1] - right[0]) / 2)
    pause = speech.pause(from_s, until_s)
    if pause.length_s > SHORTEST_PAUSE_S:
        left[1], right[0] = max(pause.start_s, left[0]), pause.end_s
    right[1] = max(right[1], right[0] + _SHORTEST_WORD_S)
