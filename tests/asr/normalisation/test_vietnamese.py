"""Vietnamese spellings that are one to a reader, and pairs that are two words."""

import pytest

from asr.normalisation.normalise import normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hoà bình", "hòa bình"),
        ("Khoẻ", "khỏe"),
        ("THUÝ", "Thúy"),
        ("loè", "lòe"),
        ("luỵ", "lụy"),
        ("kĩ sư", "kỹ sư"),
        ("sĩ", "sỹ"),
        ("Lý", "Lí"),
        ("quý", "quí"),
        ("Mỹ", "Mĩ"),
        ("20 người", "hai mươi người"),
        ("24", "hai mươi tư"),
        ("25", "hai mươi nhăm"),
        ("105", "một trăm linh năm"),
        ("2024", "hai nghìn không trăm hai mươi tư"),
        ("2004", "hai ngàn không trăm linh bốn"),
        ("20%", "20 phần trăm"),
        ("20 %", "hai mươi phần trăm"),
        ("A & B", "a và b"),
        ("Ðà Nẵng", "Đà Nẵng"),  # U+00D0, the Icelandic letter
        ("hoa\u0300", "hòa"),  # NFD
    ],
)
def test_one_word_in_two_spellings(one: str, other: str) -> None:
    assert normalise(one, "vi") == normalise(other, "vi")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hoà", "hoá"),  # peace, to change
        ("tuy", "tui"),  # although, I
        ("tùy", "tùi"),
        ("quà", "qua"),
        ("y tế", "i tế"),  # a lone y keeps its spelling
        ("mà", "má"),
        ("hoan", "hòan"),
        ("thuỷ", "thủi"),
        ("tư", "bốn"),  # the fourth, four: only after "mươi" are they one
    ],
)
def test_other_words_stay_apart(one: str, other: str) -> None:
    assert normalise(one, "vi") != normalise(other, "vi")


def test_other_languages_keep_their_letters() -> None:
    assert normalise("hoà", "fr") == "hoà"
    assert normalise("ky", "sv") == "ky"
