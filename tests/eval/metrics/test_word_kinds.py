"""Errors by kind of word, and what is made up inside speech; each expected value is counted by hand."""

import pytest

from eval.metrics.catalogue import BY_KEY
from eval.metrics.estimates import value_of
from eval.metrics.scored_trace import ScoredTrace
from tests.eval.fakes import said


def value(key: str, reference: str, text: str, **fields: object) -> float | None:
    return value_of(BY_KEY[key], [ScoredTrace(said(text, reference=reference, **fields))])


def test_the_number_error_rate_is_of_digits() -> None:
    """One of seven digits wrong; words around them do not count, nor does the pronoun."""
    assert value("number_wer", "call five five five one two one two", "tall 5551213") == pytest.approx(100 / 7)
    assert value("number_wer", "in nineteen eighty four", "in the eighty four") == 50.0
    assert value("number_wer", "it is five", "it is 25") == 100.0
    assert value("number_wer", "no one knows the point", "no man nose a point") is None
    assert value("number_wer", "twenty million dollars", "thirty million dollars") == pytest.approx(100 / 3)
    assert value("number_wer", "zweihundert", "300", language="de") == pytest.approx(100 / 3)


def test_proper_nouns_are_words_with_a_capital_inside_a_sentence() -> None:
    """ "The", which begins a sentence, and "I" are none."""
    reference = "The man met Anna Schmidt in London. They left, and I'm sure Peter's coming."
    assert (
        value("name_wer", reference, "The man met Anna Schmitt in Lunden they left and I'm sure Peter's coming") == 50
    )
    assert value("name_wer", "THE MAN MET ANNA", "the man met a nun") is None
    assert value("name_wer", "Der Mann sah Anna", "der mann sah", language="de") is None
    assert value("name_wer", "he said “Stop it”", "he said stopped") is None


def test_keywords_count_where_they_are_missed_and_where_they_are_made_up() -> None:
    """Of three occurrences one is missed, and one is recognised where nothing was."""
    fields = {"attributes": (("keywords", "kubectl, apply the manifest"),)}
    reference = "kubectl apply the manifest then kubectl"
    for text in (
        "kubectl apply the manifest then cube cuddle",
        "kubectl apply the manifest kubectl then kubectl",
        "kubectl apply a manifest then kubectl",
    ):
        assert value("keyword_wer", reference, text, **fields) == pytest.approx(100 / 3)
    assert value("keyword_wer", reference, reference) is None


def test_runs_of_insertions_are_made_up() -> None:
    """Three words in a row; two are perhaps a misheard one."""
    assert value("made_up_in_speech", "a b c d", "a b thanks for watching c d") == 75.0
    assert value("made_up_in_speech", "a b c d", "a x b y c z d w w") == 0.0
    assert value("made_up_in_speech", "", "thanks for watching") is None


@pytest.mark.parametrize(
    ("reference", "text", "loops"),
    [
        ("we went home", "we went home we went home we went home", True),
        ("we went home", "we went no no no no home", True),
        ("no no no", "no no no", False),
        ("no no no no", "no no no no", False),
        ("we went home", "we went home we went home", False),
        ("five five five five", "5 5 5 5 5", False),
        ("row row row your boat row row row", "row row row your boat", False),
    ],
)
def test_a_loop_is_a_phrase_that_nobody_repeated(reference: str, text: str, loops: bool) -> None:
    """Whisper's commonest failure; digits may well repeat."""
    assert value("loops", reference, text) == 100.0 * loops


def test_the_share_of_perfect_recordings() -> None:
    """Normalised: case is no error. Noise does not count."""
    traces = [said("a b", reference="A, b."), said("a c", reference="a b", utterance="v"), said("", utterance="w")]
    assert value_of(BY_KEY["perfect"], [ScoredTrace(trace) for trace in traces]) == 50.0


def test_punctuation_and_capitals_have_rates_of_their_own() -> None:
    """Five places with a mark in either text, of which one is missing, one wrong and one too many; one capital."""
    reference, text = "Well, yes. He left. Really?", "Well yes. he left! Really? Now."
    assert value("punctuation", reference, text) == 60.0
    assert value("case", reference, text) == 20.0
    assert value("punctuation", "no marks at all", "No, marks.") is None
    assert value("case", "ALL CAPITALS", "all capitals") is None
    assert value("punctuation", "他来了。真的？", "他来了。真的。", language="zh") == 50.0
    assert value("punctuation", "Oui !", "Oui!", language="fr") == 0.0
