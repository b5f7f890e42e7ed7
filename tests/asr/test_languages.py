"""One code for each language, whatever name it is given by."""

import pytest

from asr.errors import ConfigError
from asr.languages import _TABLE, _plain, closest_code, code_among, knows, language_code


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
        ("Tiếng Việt", "vi"), ("tiếng việt", "vi"), ("tieng viet", "vi"), ("VI", "vi"), ("vi-VN", "vi"), ("vie", "vi"),
        ("Tie\u0302\u0301ng Vie\u0323\u0302t", "vi"), ("Vietnamese", "vi"), ("Français", "fr"), ("francais", "fr"),
        ("日本語", "ja"), ("中文", "zh"), ("한국어", "ko"), ("Русский", "ru"), ("हिन्दी", "hi"),
        ("العربية", "ar"), ("o'zbek", "uz"),
        ("", ""), ("auto", ""), ("multi", ""), ("und", ""),
    ],
)  # fmt: skip
def test_names_and_codes_of_a_language_are_one_code(given: str, code: str) -> None:
    """ISO 639-1, -2 (both forms), -3, replaced codes, BCP 47, POSIX locales, English names and own ones."""
    assert language_code(given) == code


def test_no_language_is_none_given() -> None:
    """It is to be detected."""
    assert language_code(None) == ""


@pytest.mark.parametrize(
    "given", ["xx", "klingon", "e", "en us", "en-", "de,en", "en-/", "123", "日本", "tiếng", "x" * 1000]
)
def test_what_is_no_language_is_refused_in_one_sentence(given: str) -> None:
    """The message says what was found and what is wanted."""
    with pytest.raises(ConfigError, match=r"^found language .{1,110}, wanted a code such as en"):
        language_code(given)


def test_a_name_with_a_slip_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"did you mean vietnamese \(vi\)\?$"):
        language_code("Vietnamesse")


def test_a_name_means_one_language() -> None:
    """In the table, where a line below would silently take the name from one above."""
    lines = [line.split(": ") for line in _TABLE.strip().split("\n")]
    names = [name for codes, own in lines for name in {*codes.split(), *map(_plain, own.split(", "))}]
    assert len(names) == len(set(names))


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
