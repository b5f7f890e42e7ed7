"""Where a text may be divided between two words."""

import pytest

from asr.word_boundaries import is_word_boundary

SPACED = " 285,950 pounds (low-fat) e.g. 3.5% don't $1,000 and/or naïve Ελλάδα's при-вет 한국어는 là-bas !"
UNSPACED = (
    ("iPhone13", "を", "買", "う。", "「は", "い」", "と", "きょ", "うー", "人々", "が"),
    ("我", "有", "２８５，９５０", "元，", "ＮＢＡ", "的", "T", "恤！", "（好）"),
    ("ที่", "นี่", "เก่าๆ"),
    ("ខ្", "ញុំ។"),
    ("👍🏽", "好", "👩‍👧‍👦"),
)


def texts() -> list[tuple[str, ...]]:
    """The words of each text."""
    return [tuple(f" {word}" for word in SPACED.split()), *UNSPACED]


@pytest.mark.parametrize("words", texts())
def test_a_text_is_divided_between_its_words_only(words: tuple[str, ...]) -> None:
    """At every place of the text there is a boundary or not, places behind a space aside."""
    text = "".join(words)
    edges = {len("".join(words[:i])) for i in range(1, len(words))}
    places = [i for i in range(1, len(text)) if not text[i - 1].isspace()]
    assert [text[:i] + "|" + text[i:] for i in places if is_word_boundary(text[:i], text[i:]) != (i in edges)] == []


def test_nothing_is_divided_from_any_text() -> None:
    """The first word of a stream stands behind nothing."""
    assert is_word_boundary("", "a")
    assert is_word_boundary("a", "")
