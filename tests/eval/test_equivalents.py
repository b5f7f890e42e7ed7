"""What differs in writing only is no error: spaces in words, alternates, optional words."""

import pytest

from eval.equivalents import comparable_units, plain_reference, same_spaces
from eval.metrics.word_errors import align, counts_of


def errors(reference: str, hypothesis: str, language: str = "en") -> int:
    return counts_of(align(*comparable_units(reference, hypothesis, language))).errors


@pytest.mark.parametrize(
    ("language", "reference", "hypothesis"),
    [
        ("en", "an e-mail", "an email"),
        ("en", "healthcare for everyone", "health care for every one"),
        ("en", "every one one", "everyone one"),
        ("en", "the U.S.A. today", "the USA today"),
        ("en", "the U S A today", "the USA today"),
        ("en", "okay, I cannot", "OK I can't"),
        ("en", "R&D and Q & A", "R and D and Q and A"),
        ("de", "Straßen Bahn & Bus", "Strassenbahn und Bus"),
        ("ko", "할 수 있다", "할수있다"),
        ("ru", "всё ещё", "все еще"),
        ("zh", "他們說國語", "他们说国语"),
        ("yue", "國語", "国语"),
    ],
)
def test_spaces_and_spellings_are_writing(language: str, reference: str, hypothesis: str) -> None:
    """In both directions."""
    assert errors(reference, hypothesis, language) == 0
    assert errors(hypothesis, reference, language) == 0


def test_a_compound_beside_a_wrong_word_is_still_one() -> None:
    """The Open ASR Leaderboard joins a whole region or nothing: this would be three errors."""
    assert errors("send an e-mail adress now", "send an email address now") == 1


def test_the_reference_does_not_depend_on_the_hypothesis() -> None:
    """Systems are paired word by word, so all of them have the same reference words."""
    reference = "{okay / all right} send the e-mail (please) to {her / @}"
    sides = [comparable_units(reference, text, "en")[0] for text in ("", "ok send email", "all right to her please")]
    assert len(set(sides)) == 1
    assert sides[0] == ("okay", "send", "the", "e", "mail", "to")


def test_words_that_only_join_to_other_words_stay_errors() -> None:
    """Joining must not hide a wrong word."""
    assert same_spaces(("a", "part", "of"), ("apart", "on")) == ("a", "part", "on")
    assert errors("a b c", "ab d") == 1
    assert errors("now here it is", "no where it is") == 0  # the same letters: not told apart
    assert errors("the cat sat", "the cats at") == 0
    assert errors("the cat sat", "the cats") == 2


@pytest.mark.parametrize(
    ("hypothesis", "wanted"),
    [
        ("going to do it two times", 0),
        ("gonna do it twice", 0),
        ("going to do it twice", 0),
        ("do it twice", 2),
        ("gonna do it three times", 2),
    ],
)
def test_any_alternate_is_right(hypothesis: str, wanted: int) -> None:
    """SCTK's {a / b}; a missing or wrong one is wrong as its first alternate."""
    assert errors("{going to / gonna} do it {twice / two times}", hypothesis) == wanted


def test_optional_words_count_in_neither_text() -> None:
    """(uh) may be missing, said, or recognised wrongly; as published it is an insertion when it is said."""
    for hypothesis in ("I said yes", "I said quietly to him yes", "I said quietly to them yes"):
        assert errors("I said (quietly to him) yes", hypothesis) == 0
    assert errors("{uh / @} hi", "hi") == errors("{uh / @} hi", "uh hi") == 0
    assert errors("I said (quietly) yes", "I said loudly yes") == 1


def test_braces_and_strokes_of_other_kinds_are_text() -> None:
    """Only braces with a stroke inside are alternates."""
    assert errors("a / b {c}", "a b c") == 0


def test_alternates_work_in_characters() -> None:
    """In languages that are counted in characters the alternates are characters."""
    assert errors("{他/她}在北京（笑）", "她在北京", "zh") == 0


def test_a_plain_reference_has_its_first_alternates() -> None:
    """What is shown to readers and scored as written."""
    assert plain_reference("{Okay / All right}, I (uh) {um / @} see") == "Okay, I see"
