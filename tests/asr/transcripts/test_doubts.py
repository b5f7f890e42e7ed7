"""What a user is told of a model that does not serve the language."""

from dataclasses import dataclass

import pytest

from asr.events import Final, Word
from asr.transcripts.doubts import doubts


@dataclass(frozen=True)
class Model:
    name: str
    languages: tuple[str, ...]


def finals(language: str, confidences: list[float], heard_s: float = 9.0) -> list[Final]:
    words = tuple(Word("w", float(i), i + 0.5, confidence) for i, confidence in enumerate(confidences))
    return [Final(words, 0.0, heard_s, language, ends_utterance=True)]


ENGLISH, MANY = Model("whisper-tiny.en", ("en",)), Model("whisper-base", ("de", "en", "vi"))


@pytest.mark.parametrize(
    ("model", "language", "confidences", "sentence"),
    [
        (ENGLISH, "en", [0.9, 0.3, 0.8, 0.9], ""),
        (ENGLISH, "en", [0.3, 0.4, 0.2, 0.5], "most words are unsure (mean confidence 0.35), and whisper-tiny.en"),
        (ENGLISH, "en", [0.35, 0.45], ""),  # too few to say
        (ENGLISH, "en", [0.21, 0.2], "most words are unsure (mean confidence 0.21)"),
        (
            ENGLISH,
            "en",
            [],
            "found 9.0 s of speech and no word in it; whisper-tiny.en knows en only; for another language",
        ),
        (MANY, "en", [], "found 9.0 s of speech and no word in it"),
        (MANY, "de", [0.1, 0.2, 0.1, 0.2], ""),  # it knows the language: unsure words are hard audio
        (MANY, "vi", [0.9, 0.9, 0.9, 0.9], "whisper-base is poor at vi: about 49 %"),
    ],
)
def test_doubts(model: Model, language: str, confidences: list[float], sentence: str) -> None:
    found = doubts(finals(language, confidences), model)
    assert len(found) == bool(sentence)
    assert all(sentence in one for one in found)


def test_a_recording_without_speech_has_no_doubt() -> None:
    """A cough and a click are no speech that a model failed at."""
    assert doubts([], ENGLISH) == doubts(finals("en", [], heard_s=0.9), ENGLISH) == []
