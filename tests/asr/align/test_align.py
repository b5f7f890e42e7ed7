"""Forced alignment by Whisper's alignment heads, on clips whose parts' times are known because we joined them."""

import numpy as np
import pytest

from asr.align import align
from asr.align.speech import speech_runs
from asr.engine import Engine
from asr.errors import CallerError
from asr.streaming.vad import FRAME_S
from tests.speech import RATE_HZ, SPEECH_WORDS, clip, silence, speech

FOX = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(scope="module")
def engine(whisper_tiny_float32: Engine) -> Engine:
    return whisper_tiny_float32


def spoken_span_s(name: str, at_s: float) -> tuple[float, float]:
    """When a clip's speech begins and ends, by voice activity, if the clip begins at `at_s`."""
    loud = np.flatnonzero(speech_runs(clip(name)).probabilities >= 0.5)
    return at_s + loud[0] * FRAME_S, at_s + (loud[-1] + 1) * FRAME_S


def test_words_lie_in_the_clip_that_they_are_said_in(engine: Engine) -> None:
    """Every word of the text once, in order; the first and the last of a clip at its speech's edges, to 0.15 s."""
    alignment = align(speech(), SPEECH_WORDS, engine)
    assert [word.text for word in alignment.words] == SPEECH_WORDS.split()
    starts = [word.start_s for word in alignment.words]
    assert starts == sorted(starts)
    assert all(word.start_s < word.end_s for word in alignment.words)
    fox_s = len(clip("quick_brown_fox")) / RATE_HZ
    begins_s, ends_s = spoken_span_s("quick_brown_fox", 0.4)
    assert alignment.words[0].start_s == pytest.approx(begins_s, abs=0.15)
    assert alignment.words[8].end_s == pytest.approx(ends_s, abs=0.15)
    begins_s, ends_s = spoken_span_s("hello_world", 0.4 + fox_s + 0.25 + len(clip("counting")) / RATE_HZ + 1.2)
    assert alignment.words[-2].start_s == pytest.approx(begins_s, abs=0.15)
    assert alignment.words[-1].end_s == pytest.approx(ends_s, abs=0.15)


def test_a_recording_longer_than_the_model_sees(engine: Engine) -> None:
    """70 s: the sentence said every 7 s is found where it is said each time."""
    every = round(7 * RATE_HZ)
    once = np.pad(clip("quick_brown_fox"), (0, every - len(clip("quick_brown_fox"))))
    alignment = align(np.tile(once, 10), " ".join([FOX] * 10), engine)
    begins_s, ends_s = spoken_span_s("quick_brown_fox", 0.0)
    firsts, lasts = alignment.words[::9], alignment.words[8::9]
    assert [word.text for word in firsts] == ["The"] * 10
    assert [word.start_s - 7 * i for i, word in enumerate(firsts)] == pytest.approx([begins_s] * 10, abs=0.2)
    assert [word.end_s - 7 * i for i, word in enumerate(lasts)] == pytest.approx([ends_s] * 10, abs=0.2)


def test_a_text_that_is_not_said_scores_low(engine: Engine) -> None:
    """The score shows that a label does not fit: that of the right text is far higher."""
    right = align(clip("quick_brown_fox"), FOX, engine).score
    wrong = align(clip("quick_brown_fox"), "Colourless green ideas sleep furiously at the parliament.", engine).score
    assert right > 0.5
    assert wrong < right / 10


def test_a_text_too_long_for_its_recording_is_refused(engine: Engine) -> None:
    """In one sentence with both lengths."""
    with pytest.raises(CallerError, match=r"tokens does not fit in 1\.\d s"):
        align(clip("hello_world")[:RATE_HZ], FOX * 10, engine)


def test_no_text_has_no_words(engine: Engine) -> None:
    """An empty reference is aligned, without the model."""
    assert align(silence(1.0), "  ", engine).words == ()


def test_text_without_spaces_is_aligned_by_character(whisper_base: Engine) -> None:
    """Japanese: what is said comes out whole, each piece in order."""
    alignment = align(clip("pangrama", "ja"), "いろはにほへと ちりぬるを", whisper_base, language="ja")
    assert "".join(word.text for word in alignment.words) == "いろはにほへとちりぬるを"
    assert [word.start_s for word in alignment.words] == sorted(word.start_s for word in alignment.words)
