"""Words from tokens, on the two packaged vocabularies."""

import pytest

from asr.errors import ModelError
from asr.models.registry import load_model_files
from asr.models.whisper.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def english() -> Tokenizer:
    return Tokenizer(load_model_files("whisper-tiny.en").tokenizer_json)


@pytest.fixture(scope="module")
def multilingual() -> Tokenizer:
    return Tokenizer(load_model_files("whisper-base").tokenizer_json)


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    return [word for word, _ in tokenizer.words(tokenizer.encode(text))]


def test_words_keep_their_spaces_and_punctuation(english: Tokenizer) -> None:
    """Joined they are the text; a mark stays with its word, an opening quote with the next."""
    text = ' He said, "Printing differs" (i.e. from most crafts); it\'s well-known.'
    assert "".join(words(english, text)) == text
    assert words(english, " Hello, world.") == [" Hello,", " world."]


@pytest.mark.parametrize(
    "text",
    [" Bà đưa tay lên như có ý muốn", " Это конференция", "他出生在帕尔马。", "夜は寒いので", "備後國の城主である"],
)
def test_words_of_other_scripts_are_whole_characters(multilingual: Tokenizer, text: str) -> None:
    """No word holds half a character, and joined they are the text."""
    parts = words(multilingual, text)
    assert "".join(parts) == text
    assert "\ufffd" not in "".join(parts)
    assert len(parts) >= len(text.split())


WRITTEN = " 285,950 pounds (low-fat) e.g. 3.5%, don't! $1,000.50 x@y.com 10:30 and/or v2.0-rc1 A&B 👩‍👧‍👦s"


@pytest.mark.parametrize("model", ["english", "multilingual"])
def test_a_word_is_what_stands_between_two_spaces(model: str, request: pytest.FixtureRequest) -> None:
    """However many tokens and marks it has: its parts are never words."""
    assert words(request.getfixturevalue(model), WRITTEN) == [f" {word}" for word in WRITTEN.split()]


@pytest.mark.parametrize(
    "parts",
    [("iPhone13", "を", "買", "う。"), ("「285,950", "円」", "です。"), ("我有", "NBA.com", "的", "T", "恤！")],
)
def test_scripts_without_spaces_are_divided_by_characters_and_others_in_them_are_not(
    multilingual: Tokenizer, parts: tuple[str, ...]
) -> None:
    """Whatever language was detected. A mark stays with its character; a token of two characters is one word."""
    assert words(multilingual, "".join(parts)) == list(parts)


def test_half_a_character_at_the_end_is_left_out(multilingual: Tokenizer) -> None:
    """A hypothesis may stop inside a character; no replacement mark is shown."""
    tokens = multilingual.encode("备后国城主")
    cut = next(tokens[:i] for i in range(len(tokens), 0, -1) if "\ufffd" in multilingual.decode(tokens[:i]))
    assert "\ufffd" not in "".join(word for word, _ in multilingual.words(cut))


def test_a_missing_special_token_is_named(english: Tokenizer) -> None:
    """The error names the token that the vocabulary lacks."""
    with pytest.raises(ModelError, match="nosuch"):
        english.special("<|nosuch|>")
