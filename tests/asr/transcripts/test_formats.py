"""Segments from finals, and each format that a transcript is written in."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.events import Event, Final, Partial, SpeechEnded, Word
from asr.transcripts.formats import (
    FORMATS,
    Segment,
    Transcript,
    segments_from_finals,
    to_json,
    to_jsonl,
    to_srt,
    to_tsv,
    to_txt,
    to_vtt,
    with_word_times,
)
from asr.transcripts.subtitles import LINE_CHARS, MAX_CUE_S, MAX_LINES, cues_of, spread_words
from tests.asr.transcripts.words import words_of

EMPTY = Transcript("", "en", 0.0, ())


def final(text: str, start_s: float = 0.0, *, ends: bool = False) -> Final:
    words = words_of(text, start_s)
    return Final(words, start_s, words[-1].end_s, "en", ends_utterance=ends)


def transcript_of(*texts: str, word_s: float = 0.4) -> Transcript:
    """One segment a text."""
    segments = []
    start_s = 0.0
    for text in texts:
        words = words_of(text, start_s, word_s)
        segments.append(Segment(text, words[0].start_s, words[-1].end_s, words))
        start_s = words[-1].end_s + 1
    return Transcript(" ".join(texts), "en", start_s, tuple(segments), "tiny", "abc")


def test_finals_up_to_an_utterances_end_are_one_segment() -> None:
    """Other events do not matter. Words after the last end of an utterance are a segment too."""
    events: list[Event] = [
        final("one two"), Partial((), 1, 2, "en"), final("three", 0.8), Final((), 1.2, 1.3, "en", ends_utterance=True),
        SpeechEnded(2.0), final("four", 3.0, ends=True), final("five", 5.0),
    ]  # fmt: skip
    assert [segment.text for segment in segments_from_finals(events)] == ["one two three", "four", "five"]
    first = segments_from_finals(events)[0]
    assert (first.start_s, first.end_s) == (0.0, pytest.approx(1.16))
    assert "".join(word.text for word in first.words).strip() == first.text


def test_a_long_utterance_is_cut_at_a_sentence() -> None:
    """After 5 s, also within one final; never earlier, and never within a sentence."""
    speech = "Short one. " + "word " * 12 + "end. And then more words follow without any end " + "on " * 20
    segments = segments_from_finals([final(speech.strip(), ends=True)])
    assert [segment.text.split()[-1] for segment in segments] == ["end.", "on"]
    assert segments[0].text.startswith("Short one. word")


@pytest.mark.parametrize("end", ["。", "？", "!”", "…", ".)", "؟", "।"])
def test_sentences_end_in_many_scripts(end: str) -> None:
    """Also behind closing quotes and brackets."""
    segments = segments_from_finals([final("語 " * 14 + f"語{end} 次", ends=True)])
    assert [segment.text[-1] for segment in segments] == [end[-1], "次"]


def test_no_finals_and_empty_finals_give_no_segments() -> None:
    """Silence."""
    assert segments_from_finals([]) == ()
    assert segments_from_finals([Final((), 0, 1, "en", ends_utterance=True)]) == ()


def test_an_empty_transcript_is_a_valid_file_in_every_form() -> None:
    """WebVTT needs its header, JSON its fields."""
    assert {form: write(EMPTY) for form, write in FORMATS.items() if form != "json"} == {
        "txt": "", "srt": "", "vtt": "WEBVTT\n", "tsv": "start\tend\ttext\n", "jsonl": "",
    }  # fmt: skip
    assert json.loads(to_json(EMPTY))["segments"] == []


def test_text_is_a_line_a_segment() -> None:
    """And a transcript that came without segments is one line."""
    assert to_txt(transcript_of("One two.", "Three.")) == "One two.\nThree.\n"
    assert to_txt(Transcript("as\nit is ", "en", 1.0, ())) == "as it is\n"


def test_json_has_every_field() -> None:
    """The documented schema, in readable Unicode."""
    words = (Word(" Grüße", 0.1234567, 0.5, 0.87654321),)
    written = to_json(Transcript("Grüße", "de", 1.5, (Segment("Grüße", 0.1234567, 0.5, words),), "base", "ff00"))
    assert "Grüße" in written
    word = {"text": " Grüße", "start_s": 0.123, "end_s": 0.5, "confidence": 0.8765}
    assert json.loads(written) == {
        "text": "Grüße", "language": "de", "duration_s": 1.5, "model": "base", "weights_sha256": "ff00",
        "segments": [{"text": "Grüße", "start_s": 0.123, "end_s": 0.5, "words": [word]}],
    }  # fmt: skip


def test_srt_as_players_read_it() -> None:
    """Numbers from 1, a comma before the milliseconds, a blank line between cues."""
    assert to_srt(transcript_of("Hello there.", "Bye.")) == (
        "1\n00:00:00,000 --> 00:00:00,833\nHello there.\n\n2\n00:00:01,760 --> 00:00:02,593\nBye.\n"
    )


def test_vtt_as_browsers_read_it() -> None:
    """Header, blank line, a point before the milliseconds."""
    assert to_vtt(transcript_of("Hello there.")) == "WEBVTT\n\n00:00:00.000 --> 00:00:00.833\nHello there.\n"


def test_tables_have_a_line_a_segment_or_a_word() -> None:
    """tsv as OpenAI's whisper writes it (milliseconds, tabs), jsonl as JSON lines; with word times finer."""
    hello = transcript_of("Hello there.", "Bye.")
    assert to_tsv(hello) == "start\tend\ttext\n0\t760\tHello there.\n1760\t2120\tBye.\n"
    assert [json.loads(line) for line in to_jsonl(hello).splitlines()] == [
        {"start_s": 0.0, "end_s": 0.76, "text": "Hello there."}, {"start_s": 1.76, "end_s": 2.12, "text": "Bye."},
    ]  # fmt: skip
    assert with_word_times("tsv")(hello).splitlines()[1:3] == ["0\t360\tHello", "400\t760\tthere."]
    words = json.loads(with_word_times("jsonl")(hello).splitlines()[1])["words"]
    assert words == [{"text": " Bye.", "start_s": 1.76, "end_s": 2.12, "confidence": 0.9}]
    assert with_word_times("srt") is to_srt


def test_hours_are_written_as_hours() -> None:
    """And go beyond 99."""
    words = (Word(" late", 3_600 * 101 + 61.25, 3_600 * 101 + 62.0, 1.0),)
    late = Transcript("late", "en", 4e5, (Segment("late", words[0].start_s, words[0].end_s, words),))
    assert "101:01:01,250 --> 101:01:02,083" in to_srt(late)


def test_markup_and_arrows_are_text() -> None:
    """WebVTT escapes them; SubRip cannot, so an arrow that would look like a time line is made short."""
    odd = transcript_of("a --> b <i>c</i> & ---> d")
    assert "a --&gt; b &lt;i&gt;c&lt;/i&gt; &amp; ---&gt; d" in to_vtt(odd)
    assert "a -> b <i>c</i> & -> d" in to_srt(odd)


def test_line_breaks_and_control_characters_cannot_break_a_cue() -> None:
    """A blank line would end it; a null, an escape or a lone surrogate would spoil the file."""
    nasty = " a\n\nb\r\n\u2028c\x00\x1bd\ud800 👩‍👧"
    transcript = Transcript(nasty, "en", 1.0, (Segment(nasty, 0, 1, (Word(nasty, 0, 1, 1.0),)),))
    for write in (to_srt, to_vtt):
        assert write(transcript).splitlines()[-1] == "a b cd\ufffd 👩‍👧"
    for write in FORMATS.values():
        write(transcript).encode("utf-8")


def test_text_without_words_gets_times_by_its_letters() -> None:
    """Half of the letters, half of the time."""
    assert spread_words("aaaa aaaa", 10.0, 20.0) == (
        Word("aaaa", 10.0, pytest.approx(10 + 40 / 9), 0.0),
        Word(" aaaa", pytest.approx(10 + 40 / 9), pytest.approx(20.0), 0.0),
    )
    wordless = Transcript("One two", "en", 9.0, (Segment("One two", 1.0, 3.0, ()),))
    assert to_srt(wordless) == "1\n00:00:01,000 --> 00:00:03,000\nOne two\n"


WORDS = st.lists(
    st.tuples(st.text(max_size=60), st.floats(-1, 3, allow_nan=False), st.floats(-0.1, 12, allow_nan=False)),
    max_size=40,
)


@given(st.lists(WORDS, max_size=4))
@settings(max_examples=100, deadline=None)
def test_any_words_make_valid_cues(segments: list[list[tuple[str, float, float]]]) -> None:
    """Whatever a model says, whenever: lines and times keep to the limits, cues do not overlap, files can be read."""
    spoken, now_s = [], 0.0
    for segment in segments:
        words = []
        for text, gap_s, length_s in segment:
            words.append(Word(text, now_s + gap_s, now_s + gap_s + length_s, 0.5))
            now_s += max(0.0, gap_s + length_s)
        spoken.append(Segment("".join(word.text for word in words), 0, now_s, tuple(words)))
    cues = cues_of([segment.words for segment in spoken])
    for cue in cues:
        assert 0 <= cue.start_ms < cue.end_ms <= cue.start_ms + MAX_CUE_S * 1000
        assert 1 <= len(cue.lines) <= MAX_LINES
        assert all(0 < len(line) <= LINE_CHARS for line in cue.lines)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(cues))
    transcript = Transcript("", "en", now_s, tuple(spoken))
    assert len(re.findall(" --> ", to_vtt(transcript))) == len(to_vtt(transcript).split("\n\n")) - 1
    assert all(write(transcript).encode("utf-8") is not None for write in FORMATS.values())
