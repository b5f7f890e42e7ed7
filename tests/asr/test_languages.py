"""One code for each language, whatever name it is given by."""

import pytest

from asr.errors import ConfigError
from asr.languages import closest_code, code_among, knows, language_code


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("English", "en"), ("eng", "en"), ("EN", "en"), (" en-US ", "en"), ("en_US.UTF-8", "en"),
        ("English (UK)", "en"),
        ("deu", "de"), ("ger", "de"), ("German", "de"), ("de-AT", "de"), ("de-DE-1996", "de"),
        ("zho", "zh"), ("chi", "zh"), ("cmn", "zh"), ("zh_TW", "zh"), ("zh-Hans-CN", "zh"), ("Mandarin", "zh"),
        ("zh-yue", "yue"), ("Cantonese", "yue"), ("yue-HK", "yue"),
        ("jpn", "ja"), ("pt-BR", "pt"), ("iw", "he"), ("in", "id"), ("ji", "yi"), ("jw", "jv"), ("Javanese", "jv"),
        ("fas", "fa"), ("per", "fa"), ("Farsi", "fa"), ("nb-NO", "no"), ("fil", "tl"),
        ("haw", "haw"), ("sr@latin", "sr"),
        ("Haitian Creole", "ht"), ("cmn_hans_cn", "zh"), ("arz", "ar"), ("mdf", "mdf"),
        ("", ""), ("auto", ""), ("multi", ""), ("und", ""),
    ],
)  # fmt: skip
def test_names_and_codes_of_a_language_are_one_code(given: str, code: str) -> None:
    """ISO 639-1, -2 (both forms), -3, replaced codes, BCP 47, POSIX locales and English names."""
    assert language_code(given) == code


def test_no_language_is_none_given() -> None:
    """It is to be detected."""
    assert language_code(None) == ""


@pytest.mark.parametrize("given", ["xx", "klingon", "e", "en us", "en-", "de,en", "en-/", "123", "日本語", "x" * 1000])
def test_what_is_no_language_is_refused_in_one_sentence(given: str) -> None:
    """The message says what was found and what is wanted."""
    with pytest.raises(ConfigError, match=r"^found language .{1,110}, wanted a code such as en"):
        language_code(given)


def test_an_unknown_name_has_a_closest_code_for_old_files() -> None:
    """Traces of an old run may name anything; they can still be scored."""
    assert [closest_code(name) for name in ("English", "xx-YY", "")] == ["en", "xx", ""]


def test_a_model_keeps_its_own_code() -> None:
    """Whisper writes Javanese "jw" and Norwegian "no"."""
    assert code_among("Javanese", ("en", "jw", "no")) == "jw"
    assert code_among("nb", ("en", "jw", "no")) == "no"
    assert code_among("de", ("en", "jw", "no")) is None


def test_a_model_that_lists_no_languages_knows_all() -> None:
    """CTC models do not say; a recording without a language is detected."""
    assert knows((), "de")
    assert knows(("en",), "")
    assert knows(("en",), "eng")
    assert not knows(("en",), "German")
