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


def words(tokenizer: Tokenizer, text: str, language: str) -> list[str]:
    return [word for word, _ in tokenizer.words(tokenizer.encode(text), language)]


def test_words_keep_their_spaces_and_punctuation(english: Tokenizer) -> None:
    """Joined they are the text; a mark stays with its word, an opening quote with the next."""
    text = ' He said, "Printing differs" (i.e. from most crafts); it\'s well-known.'
    assert "".join(words(english, text, "en")) == text
    assert words(english, " Hello, world.", "en") == [" Hello,", " world."]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (" Bà đưa tay lên như có ý muốn", "vi"),
        (" Это конференция", "ru"),
        ("他出生在帕尔马。", "zh"),
        ("夜は寒いので", "ja"),
    ],
)
def test_words_of_other_scripts_are_whole_characters(multilingual: Tokenizer, text: str, language: str) -> None:
    """No word holds half a character, and joined they are the text."""
    found = words(multilingual, text, language)
    assert "".join(found) == text
    assert "\ufffd" not in "".join(found)
    assert len(found) >= len(text.split())


def test_half_a_character_at_the_end_is_left_out(multilingual: Tokenizer) -> None:
    """A hypothesis may stop inside a character; no replacement mark is shown."""
    tokens = multilingual.encode("备后国城主")
    cut = next(tokens[:i] for i in range(len(tokens), 0, -1) if "\ufffd" in multilingual.decode(tokens[:i]))
    assert "\ufffd" not in "".join(word for word, _ in multilingual.words(cut, "zh"))


def test_a_missing_special_token_is_named(english: Tokenizer) -> None:
    """The error names the token that the vocabulary lacks."""
    with pytest.raises(ModelError, match="nosuch"):
        english.special("<|nosuch|>")
