"""Normalisation and units."""

import pytest

from asr.normalisation.normalise import base_language, how_compared, normalise, normaliser_signature, plain, units


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("Let's", "let us"),
        ("he's like", "he is like"),
        ("Mr. Park visited Assoc. Prof. Kim Jr.", "mister park visited associate professor kim junior"),
        ("mobilisation", "mobilization"),
        ("two thousand and ten", "2 0 1 0"),  # theirs, 2010, digit by digit
    ],
)
def test_english_is_normalised_as_whispers_own_tests_say(written: str, wanted: str) -> None:
    """Examples from openai/whisper, tests/test_normalizer.py."""
    assert normalise(written, "en-US") == wanted


def test_an_ellipsis_leaves_no_word_behind() -> None:
    """Whisper's own normaliser makes "because ." of it: one insertion for each sentence that trails off."""
    assert normalise("so... and 3.5 ...", "en") == "so and 3 point 5"


def test_other_languages_keep_their_diacritics() -> None:
    """Vietnamese and German marks are letters: taking them away would make wrong words right."""
    assert normalise("Cho nên, cũng nhẫn nại!", "vi") == "cho nên cũng nhẫn nại"
    assert normalise("Das Gelände.", "de") == "das gelände"


def test_languages_without_spaces_are_counted_in_characters() -> None:
    """Spaces are no characters there; elsewhere words are counted."""
    assert units("他 出生", "zh-CN") == ("他", "出", "生")
    assert units("two words", "en") == ("two", "words")


def test_plain_words_differ_in_letters_only() -> None:
    """Case, outer punctuation and spaces go; inner punctuation and pure punctuation stay."""
    assert plain(" Hello,") == plain("hello")
    assert plain(" don't.") == "don't"
    assert plain(" ...") == "..."


def test_a_language_code_loses_its_region() -> None:
    """Both separators are in use."""
    assert [base_language(code) for code in ("zh-CN", "pt_BR", "en", "")] == ["zh", "pt", "en", ""]


def test_the_signature_names_the_normalisers_that_were_used() -> None:
    """A score without its normaliser's version cannot be compared."""
    assert normaliser_signature(("de", "en")).startswith("whisper-normalizer 0.1.15 (basic with marks + english)")
    assert normaliser_signature(("de", "en")).endswith("rules 6")


def test_how_a_language_is_compared_is_said_for_readers() -> None:
    """Each language by its own rules, in the report."""
    assert how_compared("en-US").startswith("Whisper's English rules; number words as digits; counted in words")
    assert "number words (by text2num 3" in how_compared("de")
    assert "number words stay words" in how_compared("sw")
    assert how_compared("zh").endswith("number words as digits; counted in characters")
    assert how_compared("").startswith("words of ASCII letters as English")
