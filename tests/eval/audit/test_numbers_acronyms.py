"""Numbers and acronyms, in short in some labels and as they are spoken in others."""

import pytest

from eval.audit.numbers_acronyms import acronyms, number_acronym_findings, numbers
from tests.eval.labelled import forms, labelled


def test_numbers_in_digits_and_in_words_are_found() -> None:
    """With and without "and" and hyphens; a year as a year; words for a number that has no digits say nothing."""
    found = numbers(
        labelled("21 men", "Twenty-one women", "twenty one cats", "in 1984", "in nineteen eighty four", "seven")
    )
    assert forms(found) == [[("twenty one", 2), ("21", 1)], [("1984", 1), ("nineteen eighty four", 1)]]


@pytest.mark.parametrize(
    ("language", "digits", "words"), [("vi", "25 người", "hai mươi lăm người"), ("de", "8 Tage", "acht Tage")]
)
def test_numbers_are_found_in_other_languages(language: str, digits: str, words: str) -> None:
    """As `num2words` spells them."""
    assert len(numbers(labelled(digits, words, language=language))) == 1
    assert numbers(labelled(digits, words, language="en")) == []


def test_numbers_of_a_language_that_is_not_known_are_let_be() -> None:
    """And of one that writes no spaces."""
    assert numbers(labelled("7 days", "seven days", language="xx")) == []
    assert numbers(labelled("7日", "七日", language="ja")) == []


def test_an_acronym_is_found_in_short_by_english_and_by_vietnamese_names_of_letters() -> None:
    """Three ways to write one thing; the plural s is not spoken in Vietnamese."""
    found = acronyms(labelled("học MLOps đi", "khoá em el ops này", "môn mờ lờ óp hay", language="vi"))
    assert {text for text, _ in forms(found)[0]} == {"MLOps", "em el ops", "mờ lờ óp"}


def test_an_acronym_is_found_dotted_apart_and_together() -> None:
    """A label all in capitals tells nothing about its words."""
    found = acronyms(labelled("in the USA now", "in the U.S.A. now", "in the u s a now", "THE USA"))
    assert {text for text, _ in forms(found)[0]} == {"USA", "U.S.A.", "u s a"}
    assert forms(acronyms(labelled("Made in the USA.", "Made in the U.S.A.", "(the USA.)"))) == [
        [("USA", 2), ("U.S.A.", 1)]
    ]
    assert acronyms(labelled("THE USA", "in the USA now")) == []


def test_words_that_only_sound_like_letters_are_no_acronym() -> None:
    """ "You see" is not UC, though both are names of letters."""
    assert acronyms(labelled("the UC campus", "you see it", "are you there", "an RU thing")) == []
    assert acronyms(labelled("IT WILL BE A DAY", "it will be a day", "the BA degree")) == []


def test_plain_labels_hold_neither() -> None:
    """Nothing is made up."""
    assert number_acronym_findings(labelled("the quick brown fox", "jumps over the lazy dog")) == []
