"""Where hotwords could stand in a text: by its spelling, and by another text of the same window."""

import pytest

from asr.models.whisper.biasing import Edit, HotwordList, Words, edited

CODES = 1 << 20
"""More than any code point."""


def encode(text: str) -> tuple[int, ...]:
    """Unreal: a token for each character, so that tokens can be read."""
    return tuple(map(ord, text))


def decode(tokens: tuple[int, ...]) -> str:
    return "".join(map(chr, tokens))


def words_of(text: str, spaced: bool = True) -> Words:
    parts = [f" {word}" for word in text.split()] if spaced else list(text)
    return [(part, encode(part)) for part in parts]


def hotwords(*words: str, spaced: bool = True) -> HotwordList:
    return HotwordList(words, encode, 1.0, spaced=spaced)


def texts(words: Words, edits: list[Edit]) -> list[str]:
    """The text after each edit."""
    return [decode(edited(words, [edit])) for edit in edits]


def test_a_list_holds_each_word_once_and_nothing_that_has_no_letter() -> None:
    """Spaces around and inside a hotword do not count; the order stays."""
    assert hotwords(" Zeiner ", "", "  ", "...", "Zhang  Wei", "Zeiner", "3M").words == ("Zeiner", "Zhang Wei", "3M")
    assert hotwords().spans("any text") == []
    assert hotwords("").reward("any text") == 0


@pytest.mark.parametrize(
    ("hotword", "text", "complete"),
    [
        ("Jenson", " and Jenson's letters", True),
        ("Jenson", " (Jenson), and", True),
        ("Jenson", " the Jensonian type", False),
        ("Jenson", " and jenson", False),
        ("the", " The type", True),
        ("York", " in New York.", True),
        ("Ph.D", " a Ph.D.", True),
        ("Ph.D", " a PhxD", False),
        ("C++", " with C++ and", True),
        ("N'Djamena", " to N'Djamena,", True),
        ("Żółć", " to Żółć.", True),
        ("Nguyễn Huệ", " vua Nguyễn Huệ là", True),
    ],
)
def test_a_hotword_counts_where_it_stands_as_a_word(hotword: str, text: str, complete: bool) -> None:
    """As it is spelled; a small first letter may be a capital. Punctuation is punctuation, not an expression."""
    assert bool(hotwords(hotword).spans(text)) is complete


def test_without_spaces_a_hotword_counts_between_characters() -> None:
    """A Latin hotword still ends where its letters end."""
    chinese = hotwords("上海", "iPhone", spaced=False)
    assert [word for _, _, word in chinese.spans("我在上海買iPhone手機")] == ["上海"]
    assert [word for _, _, word in chinese.spans("我在上海, iPhone 好")] == ["上海", "iPhone"]


def test_the_reward_is_for_each_token_and_of_overlapping_hotwords_for_the_longer() -> None:
    """Tokens here are characters, the space before the word included."""
    assert hotwords("York", "New York").reward(" New York and York") == len(" New York") + len(" York")


def test_a_hotword_is_tried_in_place_of_what_is_spelled_like_it() -> None:
    """Also where that is several words; the punctuation around them and a possessive stay."""
    words = words_of("In \"Jensen's, at mid-semi-oli. End")
    names = hotwords("Reykjavik", "Mitsamiouli", "Jenson")
    matches = names.matches(words)
    assert [(match.hotword, match.first, match.last) for match in matches[:2]] == [
        ("Jenson", 1, 2),
        ("Mitsamiouli", 3, 4),
    ]
    assert texts(words, names.similar_edits(words, matches)) == [
        " In \"Jenson's, at mid-semi-oli. End",
        " In \"Jensen's, at Mitsamiouli. End",
    ]
    together = words_of("we saw kate man do.")
    name = hotwords("Kathmandu")
    assert texts(together, name.similar_edits(together, name.matches(together))) == [" we saw Kathmandu."]


def test_a_hotword_that_is_written_is_left_alone() -> None:
    """And one that resembles nothing is not tried."""
    for text, hotword in (("The type", "the"), ("by Jenson's hand", "Jenson"), ("one two", "Reykjavik")):
        words = words_of(text)
        assert hotwords(hotword).similar_edits(words, hotwords(hotword).matches(words)) == []


def test_characters_are_compared_where_words_are_not_separated() -> None:
    """One wrong character of three."""
    words, names = words_of("我去上嗨市了", spaced=False), hotwords("上海市", spaced=False)
    assert texts(words, names.similar_edits(words, names.matches(words))) == ["我去上海市了"]


def test_of_a_proposal_the_differences_that_hold_a_hotword_are_edits() -> None:
    """Other differences, in words, case or punctuation, stay as they were; the whole proposal is one more edit."""
    words, proposal = words_of("Then the wall, fell on me"), words_of("then Duval fell on Tea")
    assert texts(words, hotwords("Duval").borrowed_edits(words, proposal)) == [
        " Then Duval fell on me",
        " then Duval fell on Tea",
    ]
    assert hotwords("Zebulon").borrowed_edits(words, proposal) == []


def test_a_thousand_hotwords_are_compared() -> None:
    """The one that is written nearly so comes first."""
    names = hotwords(*(f"{chr(0x4E00 + i)}{i}" for i in range(1000)), "Jenson")
    assert names.matches(words_of("by Jensen"))[0].hotword == "Jenson"
    assert len(names.matches(words_of("by Jensen"))) == 1001
