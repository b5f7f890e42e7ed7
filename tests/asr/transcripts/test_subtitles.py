"""Cues that can be read: short enough lines, long enough on screen. `test_formats` has the properties of any words."""

import pytest

from asr.events import Word
from asr.transcripts.formats import Segment, Transcript, to_srt
from asr.transcripts.subtitles import cues_of, spread_words, width
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


@pytest.mark.parametrize("duration_s", [5.0, 5.3, 12.0])
def test_no_cue_ends_after_the_recording(duration_s: float) -> None:
    """The last one is not prolonged beyond it, however short it is; without a length it is."""
    words = words_of("said very quickly indeed at the very end of it all", 4.0, 0.09)
    cues = cues_of([words], duration_s)
    assert cues[-1].end_ms <= duration_s * 1000
    assert all(cue.start_ms < cue.end_ms for cue in cues)
    assert cues_of([words])[-1].end_ms > 5000
    transcript = Transcript("", "en", duration_s, (Segment("", 4.0, 5.0, tuple(words)),))
    assert f"--> 00:00:{cues[-1].end_ms / 1000:06.3f}".replace(".", ",") in to_srt(transcript)


def test_a_full_width_character_has_two_columns() -> None:
    """Unicode's East Asian Width W and F; Japanese has 21 in a line, half-width forms and Latin letters 42."""
    assert [width(text) for text in ("abc", "日本", "ＡＢ", "ｱｲ", "é", "🎉")] == [3, 4, 4, 2, 1, 2]
    for letter, most in (("語", 21), ("한", 21), ("a", 42), ("ｱ", 42)):
        words = tuple(Word(letter, i / 6, (i + 1) / 6, 1.0) for i in range(90))
        lines = [line for cue in cues_of([words]) for line in cue.lines]
        assert "".join(lines) == letter * 90
        assert max(map(len, lines)) == most


def lines_of(*parts: str) -> list[str]:
    words = tuple(Word(part, i / 10, (i + 1) / 10, 1.0) for i, part in enumerate(parts))
    return [line for cue in cues_of([words]) for line in cue.lines]


@pytest.mark.parametrize(
    "parts",
    [(" 285", ",950"), (" low", "-fat"), (" flower", "ened"), (" don", "'t"), (" e", ".g", "."), (" (", "so", ")"),
     (" ten", "%"), (" при", "вет"), (" 한국", "어는")],
)  # fmt: skip
def test_no_line_ends_inside_a_word(parts: tuple[str, ...]) -> None:
    """Recognisers give the parts of a written word as several words."""
    whole = "".join(parts).strip()
    for before in range(20, 45):
        lines = lines_of(f" {'x' * before}", *parts, " and", *parts, " end")
        assert " ".join(lines).split().count(whole) == 2


@pytest.mark.parametrize("whole", ["テンポ", "iPhone", "3月", "15", "す。", "「は", "ちょっ"])
def test_lines_of_japanese_keep_what_belongs_together(whole: str) -> None:
    """Foreign words and numbers are not broken, no mark begins a line, no bracket ends one."""
    for before in range(15, 24):
        lines = lines_of(*"日" * before, *whole, *"本" * 30)
        assert any(whole in line for line in lines)
