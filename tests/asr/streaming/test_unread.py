"""Speech that a hypothesis leaves out is decoded again: the rule on lists of words, scripted streams, and files."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.engine import Engine
from asr.events import Final
from asr.models.base import Piece
from asr.streaming.unread import Gap, first_gap, without_doubtful
from asr.streaming.vad import FRAME_S
from asr.transcripts.recording import Source, transcribe
from tests.asr.streaming.scripted import STREAM, VAD, Played, SampleVad, Scripted, hypothesis, play, sound, words

WATCHFUL = replace(STREAM, gap_s=1.0)


def spoken(*spans: tuple[str, float, float]) -> tuple[Piece, ...]:
    return tuple(Piece(f" {text}", (), start_s, end_s, 0.9) for text, start_s, end_s in spans)


THREE = (("one", 0.0, 0.4), ("two", 0.5, 0.9), ("three", 5.0, 5.4))


@pytest.mark.parametrize(
    ("pieces", "pauses", "gap"),
    [
        (THREE, [(1.0, 1.4), (4.6, 5.0)], Gap(2, 1.2, 5.0)),
        (THREE, [(1.0, 4.9)], None),
        (THREE, [(1.0, 3.5), (4.4, 4.9)], None),
        ((THREE[0], ("two", 0.5, 4.6), THREE[2]), [(1.0, 1.4), (4.6, 5.0)], Gap(2, 1.2, 5.0)),
        ((*THREE[:2], ("three", 1.4, 5.4)), [(0.9, 1.4), (4.6, 5.0)], Gap(2, 1.15, 5.5)),
        (THREE[:2], [(1.0, 1.4)], Gap(2, 1.2, 5.5)),
        (THREE[2:], [(4.6, 5.0)], Gap(0, 0.0, 4.8)),
        ((("one", 0.0, 5.0), ("two", 5.0, 5.4)), [(2.0, 2.4), (4.0, 4.4)], Gap(0, 0.0, 4.2)),
        ((("one", 0.0, 5.5),), [], None),
        ((("internationalisation", 0.0, 2.4), ("two", 2.4, 2.8)), [(3.0, 5.5)], None),
        ((("1985", 0.0, 2.4), ("two", 2.4, 2.8)), [(3.0, 5.5)], None),
        ((("東京都民", 0.0, 2.4), ("二", 2.4, 2.8)), [(3.0, 5.5)], None),
        ((("", 0.0, 5.5),), [], None),
        ((), [], None),
    ],
    ids=[
        "the middle is left out: from the pause behind the last word before it",
        "a pause is not speech",
        "shorter speech than the limit is not missed",
        "the word before is stretched over it",
        "the word after may be stretched over it: it is read again",
        "the end is left out",
        "the beginning is left out: up to the pause before the first word",
        "the first word may be spoken anywhere in its span: up to the last pause in it",
        "nothing would be different",
        "a long word takes long",
        "so does a number",
        "and so do ideographs",
        "a placeholder covers its span",
        "without words nothing is known to be missed",
    ],
)
def test_speech_that_no_word_is_long_enough_for_is_a_gap(
    pieces: Sequence[tuple[str, float, float]], pauses: list[tuple[float, float]], gap: Gap | None
) -> None:
    """In a window of 5.5 s; more than 1 s of speech must be left after slow words."""
    found = first_gap(spoken(*pieces), (0.0, 5.5), pauses, 1.0)
    assert (found and Gap(found.words, round(found.at_s, 3), round(found.until_s, 3))) == gap


def test_what_is_committed_is_not_read_again() -> None:
    """The word before the pause is committed, so the window begins behind it even if it may lie elsewhere."""
    pieces = spoken(("one", 1.4, 5.0), ("two", 5.0, 5.4))
    pauses = [(0.9, 1.4), (1.9, 2.1)]
    assert first_gap(pieces, (1.0, 5.5), pauses, 1.0, committed=1) == Gap(1, 2.0, 5.0)


def test_a_gap_is_read_once() -> None:
    """Nothing before the end of the gap that a window begins in is a gap again; what comes after it may be."""
    assert first_gap(spoken(*THREE), (0.0, 9.0), [(1.0, 1.4), (5.4, 9.0)], 1.0, after_s=5.0) is None
    assert first_gap(spoken(*THREE), (0.0, 9.0), [(1.0, 1.4)], 1.0, after_s=5.0) == Gap(2, 5.0, 9.0)


@pytest.mark.parametrize(("confidence", "kept"), [(0.37, 2), (0.36, 1)])
def test_words_in_a_gap_must_be_sure(confidence: float, kept: int) -> None:
    """On average; words after the gap stay in any case."""
    pieces = (Piece(" um", (), 0.0, 1.0, confidence), Piece(" well", (), 2.0, 2.5, 0.1))
    assert len(without_doubtful(pieces, 2.0)) == kept
    assert without_doubtful(pieces, 0.0) == pieces


# -- streams and files -------------------------------------------------------------------------------------------------

SOUND = sound((0.9, 32), (0.0, 8), (0.9, 88), (0.0, 8), (0.9, 32), (0.0, 24))
"""A second of speech, a pause, 2.8 s, a pause, a second; the pauses begin at 1.02 and 4.1 s."""
FIRST, LAST = words("one two three four", 0.0, 0.25), words("nine ten", 4.4, 0.5)
MIDDLE = words("five six seven eight", 0.1, 0.6)
REST_S = 36 * FRAME_S
"""The middle of the first pause, where the window begins that reads the middle."""


def one_shot(script: Sequence[object], partials: bool = False) -> Played:
    return play(script, SOUND, WATCHFUL, partials=partials)  # type: ignore[arg-type]


def moved(pieces: Sequence[Piece], by_s: float) -> tuple[Piece, ...]:
    return tuple(replace(piece, start_s=piece.start_s + by_s, end_s=piece.end_s + by_s) for piece in pieces)


def file_of(script: Sequence[object]) -> tuple[Scripted, str]:
    """The text of `transcribe`, which decodes windows in batches."""
    recogniser = Scripted(script)  # type: ignore[arg-type]
    samples: Source = SOUND
    transcript = transcribe(samples, Engine(recogniser, SampleVad()), settings=SessionSettings(VAD, WATCHFUL))
    return recogniser, transcript.text


READ = [
    hypothesis(FIRST + LAST),
    hypothesis(MIDDLE + moved(LAST, -REST_S), "de"),
]
"""The middle is left out, then read in another language."""


def test_a_sentence_left_out_in_the_middle_is_read_in_a_window_of_its_own() -> None:
    """Nothing is lost, the order is that of the speech, and the new window has no prefix and no language."""
    played = one_shot(READ)
    assert played.finals == ["one two three four", "five six seven eight nine ten"]
    assert [final.language for final in played.final_events] == ["en", "de"]
    rest = played.windows[1]
    assert (rest.prefix, rest.language) == ((), None)
    assert len(played.windows[0].samples) - len(rest.samples) == round(REST_S * SAMPLE_RATE_HZ)


def test_a_file_reads_it_as_a_stream_does() -> None:
    """The same windows, decoded in batches."""
    recogniser, text = file_of(READ)
    assert text == "one two three four five six seven eight nine ten"
    assert [len(w.samples) for w in recogniser.windows] == [len(w.samples) for w in one_shot(READ).windows]


def test_noise_between_words_is_asked_about_once_and_invents_nothing() -> None:
    """The second window leaves it out too, or is unsure of what it says there."""
    after = moved(LAST, -REST_S)
    unsure = words("thank you", 0.3, 0.3, confidence=0.2)
    for pieces in (after, unsure + after):
        script = [hypothesis(FIRST + LAST), hypothesis(pieces)]
        assert one_shot(script).finals == ["one two three four", "nine ten"]
        assert file_of(script)[1] == "one two three four nine ten"


def test_a_beginning_left_out_is_decoded_alone_then_what_follows() -> None:
    """The words that made the model pass over the beginning are not in its window."""
    start_s = 132 * FRAME_S
    script = [hypothesis(LAST), hypothesis(FIRST + moved(MIDDLE, 1.3)), hypothesis(moved(LAST, -start_s))]
    played = one_shot(script)
    assert played.finals == ["one two three four five six seven eight", "nine ten"]
    assert [round(len(window.samples) / SAMPLE_RATE_HZ / FRAME_S) for window in played.windows] == [178, 132, 46]
    assert file_of([script[0], script[1], script[2]])[1] == "one two three four five six seven eight nine ten"


def test_a_live_stream_waits_for_a_second_hypothesis_with_the_same_gap() -> None:
    """Words behind the gap are shown and not committed, since the next hypothesis may have what is missing.

    The second time a window begins in the gap. Here the updates are at 1, 2, 3 and 4 s.
    """
    late = words("nine", 2.9, 0.1)
    begin_s = 0.75 + 0.7  # where "four" begins, and how long it may take
    whole = moved(words("five six seven nine", 0.1, 0.4), begin_s)
    inside = moved(whole, -begin_s)
    script = [*[hypothesis(FIRST)] * 2, *[hypothesis(late)] * 2, *[hypothesis(inside)] * 2]
    played = play(script, sound((0.9, 4 * 32 + 5)), replace(WATCHFUL, holdback_ms=0, unsure_holdback_ms=0))
    assert played.shown == [
        "one two three four",
        "=one two three four",
        "",
        "nine",
        "five six seven nine",
        "=five six seven nine",
    ]


def test_another_language_gets_a_window_of_its_own() -> None:
    """A model that read only the first seconds because another language begins there is asked about the rest."""
    script = [
        hypothesis(FIRST, "en", read_s=REST_S),
        hypothesis(MIDDLE, "de", read_s=96 * FRAME_S),
        hypothesis(moved(LAST, -132 * FRAME_S), "en"),
    ]
    played = one_shot(script)
    assert [(f.text.strip(), f.language) for f in played.events if isinstance(f, Final)] == [
        ("one two three four", "en"),
        ("five six seven eight", "de"),
        ("nine ten", "en"),
    ]
    assert file_of(script)[1] == "one two three four five six seven eight nine ten"
