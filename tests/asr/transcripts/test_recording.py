"""The parts of transcribing a recording that need no model. `tests/batch/test_dispatch.py` runs the whole with one."""

from dataclasses import dataclass, replace

from asr.config import SessionSettings
from asr.events import Final, Partial, Word
from asr.models.base import Hypothesis, Piece
from asr.transcripts.recording import FALLBACK_TEMPERATURES, Part, filled, offline_settings, transcript_of


@dataclass(frozen=True)
class Model:
    """All that a transcript needs of an engine."""

    name: str = "tiny"
    weights_sha256: str = "abc"


def final(start_s: float, end_s: float, language: str, *texts: str) -> Final:
    words = tuple(Word(text, start_s, end_s, 0.5) for text in texts)
    return Final(words, start_s, end_s, language, ends_utterance=True)


def test_recordings_wait_longer_for_a_pause_and_have_shorter_windows() -> None:
    """`VadSettings.file_endpoint_ms` and `StreamSettings.file_window_s`; nothing else of the settings changes."""
    live = SessionSettings()
    offline = offline_settings(live)
    assert offline.vad.endpoint_ms == live.vad.file_endpoint_ms > live.vad.endpoint_ms
    assert offline.stream.window_max_s == live.stream.file_window_s <= live.stream.window_max_s
    assert replace(offline, vad=live.vad, stream=live.stream) == live
    searched = offline_settings(live, beam_size=4, fallback=True)
    assert (searched.decode.beam_size, searched.decode.fallback_temperatures) == (4, FALLBACK_TEMPERATURES)


def test_finals_get_the_words_of_their_windows_in_order() -> None:
    """A window's times are relative to its start; a final without a window (silence) stays empty."""
    silence = Final((), 2.0, 3.0, "", ends_utterance=True)
    events = [final(1.0, 2.0, "", ""), Partial((), 1.0, 2.0, ""), silence, final(5.0, 6.0, "", "")]
    pieces = [Piece(text, (), 0.25, 0.75, 0.9) for text in (" one", " two")]
    first, second, third = filled(events, [(Part(0.0, Hypothesis((piece,), "en")),) for piece in pieces])
    assert [(word.text, word.start_s, word.end_s) for word in first.words] == [(" one", 1.25, 1.75)]
    assert second == silence
    assert [(word.text, word.start_s, word.end_s) for word in third.words] == [(" two", 5.25, 5.75)]
    assert first.language == third.language == "en"


def test_a_window_does_not_continue_a_word() -> None:
    """A window that was cut within a number, also within its parts; one without words lies between."""
    texts = (((" 285",),), ((),), ((",950", " low"), ("-fat",)))
    recognised = [
        tuple(Part(0.0, Hypothesis(tuple(Piece(text, (), 0.0, 0.5, 0.9) for text in part), "en")) for part in window)
        for window in texts
    ]
    events = [final(start_s, start_s + 1, "", "") for start_s in (1.0, 2.0, 3.0)]
    assert [event.text for event in filled(events, recognised)] == [" 285", "", " 950 low", " fat"]


def test_a_transcripts_language_is_that_of_most_words() -> None:
    """Not that of most finals; and no words, no language."""
    events = [final(0, 1, "de", " ja"), final(1, 2, "de", " ja"), final(2, 3, "en", " yes", " of", " course")]
    transcript = transcript_of(events, Model(), 3.0)
    assert transcript.language == "en"
    assert transcript.text == "ja ja yes of course"
    assert (transcript.model, transcript.weights_sha256, transcript.duration_s) == ("tiny", "abc", 3.0)
    assert transcript_of([], Model(), 1.0).language == ""
