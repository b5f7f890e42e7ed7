"""The bonus of tokens that spell a hotword."""

from asr.models.whisper.hotwords import Hotwords


def test_the_bonus_follows_a_word_as_it_is_spelled() -> None:
    """Half for a first token, all of it for the next ones, none behind the end; words may share their beginning."""
    hotwords = Hotwords([(1, 2, 3), (1, 5), (9,)], 3.0)
    assert hotwords.bonus([]) == {1: 1.5, 9: 1.5}
    assert hotwords.bonus([7, 1]) == {1: 1.5, 9: 1.5, 2: 3.0, 5: 3.0}
    assert hotwords.bonus([1, 2]) == {1: 1.5, 9: 1.5, 3: 3.0}
    assert hotwords.bonus([1, 2, 3]) == {1: 1.5, 9: 1.5}


def test_without_hotwords_there_is_no_bonus() -> None:
    """Nor with one that has no tokens."""
    assert Hotwords([], 3.0).bonus([1]) == {}
    assert Hotwords([()], 3.0).bonus([1]) == {}
