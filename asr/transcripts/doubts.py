"""What a user should know before they rely on a transcript: a model that does not serve the language."""

from collections.abc import Sequence
from typing import Protocol

from asr.transcripts.formats import Transcript

UNSURE = 0.5
"""Mean confidence of the words of a recording below which an English-only model probably hears another language. With
whisper-tiny.en the median recording has 0.37 in Vietnamese, 0.42 in German, 0.27 in Japanese and 0.36 in Russian, but
0.70 in English with strong accents (a tenth of them are below) and 0.87 in other English; see
docs/log/decoding.md#confidence-of-an-english-model-in-other-languages."""
FEW_WORDS = 4
"""Fewer words have no mean that says anything."""
POOR = {("whisper-base", "vi"): 49, ("whisper-base", "zh"): 46}
"""Model and language -> error rate in per cent, where it is known to be above 40 (docs/log/decoding.md)."""


class Model(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def languages(self) -> tuple[str, ...]: ...


def doubts(transcript: Transcript, model: Model) -> Sequence[str]:
    """Sentences for the user, none for a transcript that is as good as the model's others."""
    errors = POOR.get((model.name, transcript.language))
    if errors:
        return [f"{model.name} is poor at {transcript.language}: about {errors} % of the words or characters are wrong"]
    words = [word for segment in transcript.segments for word in segment.words]
    if len(model.languages) != 1 or len(words) < FEW_WORDS:
        return []
    confidence = sum(word.confidence for word in words) / len(words)
    if confidence >= UNSURE:
        return []
    return [
        f"most words are unsure (mean confidence {confidence:.2f}), and {model.name} knows "
        f"{model.languages[0]} only; for another language take a model that knows it, see: asr models"
    ]
