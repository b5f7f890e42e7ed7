"""Characters that look right and are not."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from eval.audit.characters import (
    character_findings,
    invisible,
    mixed_words,
    mojibake,
    normal_forms,
    stand_ins,
    tone_key,
    wrong_script,
)
from tests.eval.labelled import labelled, notes

PHRASE = "tiếng Việt đẹp"


def test_labels_not_in_nfc_are_found() -> None:
    """NFC is right; a label that is the same in all forms is never wrong."""
    composed, decomposed = (unicodedata.normalize(form, PHRASE) for form in ("NFC", "NFD"))
    mixed = composed + " " + unicodedata.normalize("NFD", "ế")
    found = normal_forms(labelled(composed, decomposed, mixed, "plain", language="vi"))
    assert notes(found) == [("u1", "NFD"), ("u2", "mixed")]
    assert found[0].grave
    assert normal_forms(labelled(composed, "plain")) == []


@given(st.text(max_size=40))
def test_what_is_in_nfc_is_never_reported_and_what_is_not_always_is(text: str) -> None:
    """By Unicode's own definition."""
    expected = not unicodedata.is_normalized("NFC", text) and bool(text.strip())
    assert bool(normal_forms(labelled(text))) == expected or not text.strip()


def test_a_word_of_two_scripts_that_look_alike_is_found_and_the_odd_letter_named() -> None:
    """A Cyrillic С in a Latin word; Latin and Chinese in one word are fine."""
    (told,) = notes(mixed_words(labelled("a \u0421afe", "a Cafe", "T恤衫")))
    assert told == ("u0", "\u0421afe: Cyrillic Capital Letter Es")


def test_letters_that_stand_in_for_vietnamese_ones_are_found() -> None:
    """Eth for đ in Vietnamese, not in Icelandic, where it is a letter. Full-width letters in any language."""
    assert notes(stand_ins(labelled("Ðẹp", "Đẹp", language="vi"))) == [("u0", "Ð (U+00D0)")]
    assert stand_ins(labelled("Ðað", language="is")) == []
    assert notes(stand_ins(labelled("ＡB", language="en"))) == [("u0", "Ａ (U+FF21)")]


def test_invisible_characters_are_named() -> None:
    """Without width, not breaking, lost; ordinary spaces are none of them."""
    found = notes(invisible(labelled("a\u200bb", "a\u00a0b", "a b", "\ufeffa", "a\ufffd")))
    assert found == [
        ("u0", "U+200B Zero Width Space"),
        ("u1", "U+00A0 No-Break Space"),
        ("u3", "U+FEFF Zero Width No-Break Space"),
        ("u4", "U+FFFD Replacement Character"),
    ]


def test_a_text_that_was_read_in_the_wrong_encoding_is_repaired() -> None:
    """UTF-8 read as Windows-1252; a correct text with such letters cannot be converted back and is left alone."""
    broken = "cà phê".encode().decode("cp1252")
    assert notes(mojibake(labelled(broken, "cà phê", "coffee"))) == [("u0", "cà phê")]


def test_letters_of_another_script_than_the_languages_are_found() -> None:
    """Latin is allowed everywhere (names, brands); unlisted languages are not checked."""
    assert notes(wrong_script(labelled("hello", "привет", "Ελλάδα", "café"))) == [
        ("u1", "Cyrillic in en"),
        ("u2", "Greek in en"),
    ]
    assert wrong_script(labelled("Это Google", language="ru")) == []
    assert wrong_script(labelled("привет", language="xx")) == []


@given(st.lists(st.text(max_size=30), max_size=4), st.sampled_from(["", "en", "vi", "ja"]))
def test_trouble_is_found_whatever_the_other_labels_are(texts: list[str], language: str) -> None:
    """Arbitrary labels neither crash a check nor hide the invisible character of the last one. Lone surrogates are not
    drawn, because UTF-8 cannot hold them."""
    found = {finding.kind: finding for finding in character_findings(labelled(*texts, "a\ufeffb", language=language))}
    assert found["invisible characters"].examples
    assert all(finding.count >= len(finding.examples) > 0 for finding in found.values())


def test_a_tone_key_is_one_for_both_places_of_the_mark_and_another_for_another_tone() -> None:
    """The circumflex, the breve and the horn are part of the vowel."""
    assert tone_key("hòa") == tone_key("hoà") != tone_key("hoá")
    assert tone_key("thuỷ") == tone_key("thủy")
    assert tone_key("tuân") != tone_key("tuan")
