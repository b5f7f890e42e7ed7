"""Scripts and languages."""

from eval.data.writing_systems import foreign_letters, is_foreign


def test_foreign_letters_are_named_by_their_script() -> None:
    """Regions do not matter; Latin is never foreign; in an unlisted language nothing is."""
    assert foreign_letters("他出生在", "zh-CN") == ""
    assert foreign_letters("ろく 夜 コート", "ja") == ""
    assert foreign_letters("ろく", "zh-CN") == "Hiragana"
    assert foreign_letters("Google", "ru") == ""
    assert foreign_letters("привет", "xx") == ""


def test_a_text_is_foreign_if_all_its_letters_are() -> None:
    """One native letter, or none at all, and it is not."""
    assert is_foreign("привет всем", "en")
    assert not is_foreign("привет all", "en")
    assert not is_foreign("7 + 8", "en")
