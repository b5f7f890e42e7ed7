"""What a user should know before they rely on a transcript: a model that does not serve the language."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from asr.events import Event, Final
from asr.transcripts.formats import main_language

UNSURE = 0.5
"""Mean confidence of the words of a recording below which an English-only model probably hears another language. With
whisper-tiny.en the median recording has 0.37 in Vietnamese, 0.42 in German, 0.27 in Japanese and 0.36 in Russian, but
0.70 in English with strong accents (a tenth of them are below) and 0.87 in other English; see
docs/log/decoding.md#confidence-of-an-english-model-in-other-languages."""
FEW_WORDS = 4
"""Fewer words have a mean that says little: they are doubted below `FEW_UNSURE`."""
FEW_UNSURE = 0.3
HEARD_S = 1.0
"""Speech without a word. With whisper-tiny.en 50 of 125 recordings in four other languages have no word, and none of
180 in English (docs/log/page.md#an-english-model-that-hears-another-language)."""
POOR = {("whisper-base", "vi"): 49, ("whisper-base", "zh"): 46}
"""Model and language -> error rate in per cent, where it is known to be above 40 (docs/log/decoding.md)."""


class Model(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def languages(self) -> tuple[str, ...]: ...


def doubts(events: Iterable[Event], model: Model) -> Sequence[str]:
    """Sentences for the user about a whole recording, none for one that is as good as the model's others."""
    finals = [event for event in events if isinstance(event, Final)]
    words = [word for final in finals for word in final.words]
    if not words:
        heard_s = sum(final.end_s - final.start_s for final in finals)
        return [_without_words(heard_s, model)] if heard_s >= HEARD_S else []
    language = main_language(finals)
    errors = POOR.get((model.name, language))
    if errors:
        return [f"{model.name} is poor at {language}: about {errors} % of the words or characters are wrong"]
    confidence = sum(word.confidence for word in words) / len(words)
    if len(model.languages) != 1 or confidence >= (UNSURE if len(words) >= FEW_WORDS else FEW_UNSURE):
        return []
    return [f"most words are unsure (mean confidence {confidence:.2f}), and {_knows_one(model)}"]


def _without_words(heard_s: float, model: Model) -> str:
    found = f"found {heard_s:.1f} s of speech and no word in it"
    return f"{found}; {_knows_one(model)}" if len(model.languages) == 1 else found


def _knows_one(model: Model) -> str:
    return (
        f"{model.name} knows {model.languages[0]} only; for another language take a model that knows it, see: "
        "asr models"
    )
