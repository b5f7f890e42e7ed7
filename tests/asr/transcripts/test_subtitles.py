"""Cues that can be read: short enough lines, long enough on screen. `test_formats` has the properties of any words."""

from asr.transcripts.subtitles import cues_of, spread_words
from tests.asr.transcripts.words import words_of


def test_a_cue_stays_until_it_can_be_read() -> None:
    """20 characters a second and 5/6 s at least (Netflix Timed Text Style Guide), but never into the next cue."""
    fast, after = words_of("said very quickly indeed", 1.0, 0.05), words_of("and", 1.9)
    assert [(cue.start_ms, cue.end_ms) for cue in cues_of([fast])] == [(1000, 2200)]
    assert cues_of([fast, after])[0].end_ms == 1900


def test_a_long_segment_becomes_cues_that_can_be_read() -> None:
    """Two lines of 42 characters, 7 s, broken between words; nothing is lost."""
    text = " ".join(f"word{index}" for index in range(60))
    cues = cues_of([words_of(text)])
    assert " ".join(line for cue in cues for line in cue.lines) == text
    assert len(cues) > 3


def test_scripts_without_spaces_are_broken_within_words_but_not_within_letters() -> None:
    """A Thai vowel sign stays with its consonant, a family emoji stays one."""
    for letter in ("語", "กี่", "👩‍👧"):
        text = letter * 90
        lines = [line for cue in cues_of([spread_words(text, 0.0, 20.0)]) for line in cue.lines]
        assert "".join(lines) == text
        assert all(line == letter * (len(line) // len(letter)) for line in lines)
