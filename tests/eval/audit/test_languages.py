"""Labels in another language than the one given."""

import pytest

from eval.audit.languages import other_languages
from tests.eval.labelled import labelled, notes


@pytest.mark.parametrize(
    ("text", "given", "reads"),
    [
        ("Der alte Mann ging langsam über die Brücke nach Hause.", "en", "de"),
        ("Tôi muốn đặt một bàn cho hai người vào tối nay.", "en-US", "vi"),
        ("she left the house before the sun came up", "fr", "en"),
        ("Dnes večer bude v celé zemi velmi silně pršet.", "pl", "cs"),
        ("今日はとても天気がいいですね。", "zh", "ja"),
    ],
)
def test_a_text_of_another_language_is_found(text: str, given: str, reads: str) -> None:
    """Also where both are written in the same letters."""
    finding = other_languages(labelled(text, language=given))
    assert notes(finding) == [("u0", f"reads as {reads}, given as {given[:2]}")]
    assert finding[0].grave


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("wu was born feng hongyuan in tianjin", "en"),
        ("rich was born in enterprise, oregon.", "en"),
        ("Lynda got the sunglasses", "en"),
        ("– Женька! – закричала Таня.", "ru"),
        ("王籍，字文海，琅邪临沂人，南北朝南齐、南梁官员与文学家。", "zh"),
        ("oui", "en"),
        ("Tôi muốn đặt một bàn", ""),
        ("ok google play some jazz", "tlh"),
    ],
)
def test_names_short_texts_and_unknown_languages_are_left_alone(text: str, given: str) -> None:
    """A false alarm costs trust: only what is sure."""
    assert other_languages(labelled(text, language=given)) == []
