"""What a user is told of a model that does not serve the language."""

from dataclasses import dataclass

import pytest

from asr.events import Word
from asr.transcripts.doubts import doubts
from asr.transcripts.formats import Segment, Transcript


@dataclass(frozen=True)
class Model:
    name: str
    languages: tuple[str, ...]


def transcript(language: str, confidences: list[float]) -> Transcript:
    words = tuple(Word("w", float(i), i + 0.5, confidence) for i, confidence in enumerate(confidences))
    return Transcript("w " * len(words), language, 9.0, (Segment("w", 0.0, 9.0, words),))


ENGLISH, MANY = Model("whisper-tiny.en", ("en",)), Model("whisper-base", ("de", "en", "vi"))


@pytest.mark.parametrize(
    ("model", "language", "confidences", "sentence"),
    [
        (ENGLISH, "en", [0.9, 0.3, 0.8, 0.9], ""),
        (ENGLISH, "en", [0.3, 0.4, 0.2, 0.5], "most words are unsure (mean confidence 0.35), and whisper-tiny.en"),
        (ENGLISH, "en", [0.1, 0.2], ""),  # too few to say
        (ENGLISH, "en", [], ""),
        (MANY, "de", [0.1, 0.2, 0.1, 0.2], ""),  # it knows the language: unsure words are hard audio
        (MANY, "vi", [0.9, 0.9, 0.9, 0.9], "whisper-base is poor at vi: about 49 %"),
    ],
)
def test_doubts(model: Model, language: str, confidences: list[float], sentence: str) -> None:
    found = doubts(transcript(language, confidences), model)
    assert len(found) == bool(sentence)
    assert all(sentence in one for one in found)
