"""Finds labels that are written in another language than the one given, by py3langid's model of texts."""

from collections.abc import Sequence
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from asr.normalisation.normalise import base_language, is_by_character
from eval.audit.findings import Example, Finding, example, of_examples
from eval.data.types import Utterance

AREA = "labels"

MIN_LETTERS, MIN_CHARACTERS = 15, 8
"""Letters of the shortest label that is judged; characters where no spaces are written."""
SURE, NOT_GIVEN = 0.95, 0.01
"""A label is of another language when that one has at least the first probability, and the given one at most the
second. Of 759 labels in ten languages of ../shared/speech none is; six have another language as the likeliest."""
FAMILIES = (
    frozenset({"zh", "yue", "wuu", "lzh"}),
    frozenset({"no", "nb", "nn", "da", "sv"}),
    frozenset({"hr", "sr", "bs", "sl"}),
    frozenset({"id", "ms"}),
    frozenset({"cs", "sk"}),
)
"""Languages whose short texts can hardly be told apart."""


def other_languages(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels whose text is surely not in the language that the data gives: the label or the language is wrong."""
    shown = tuple(one for one in map(_other, utterances) if one)
    what = "labels in another language than the one given"
    return of_examples(AREA, "language", what, shown, "correct the label or its language", grave=True)


def _other(utterance: Utterance) -> Example | None:
    given = base_language(utterance.language)
    enough = MIN_CHARACTERS if is_by_character(given) else MIN_LETTERS
    if not given or sum(map(str.isalpha, utterance.text)) < enough or given not in _identifier().labels:
        return None
    probabilities = {language: float(p) for language, p in _identifier().rank(utterance.text.lower())}
    likeliest = max(probabilities, key=probabilities.__getitem__)
    related = any({given, likeliest} <= family for family in FAMILIES)
    if related or probabilities[likeliest] < SURE or probabilities[given] > NOT_GIVEN:
        return None
    return example(utterance, f"reads as {likeliest}, given as {given}")


@cache
def _identifier() -> LanguageIdentifier:
    """Takes a second to load."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
