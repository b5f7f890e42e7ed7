"""Forced alignment by Whisper's alignment heads, on clips whose parts' times are known because we joined them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.align import align
from asr.align.speech import SpeechRuns, speech_runs
from asr.align.windows import Stretch, stretches
from asr.cli import run
from asr.engine import Engine
from asr.errors import CallerError
from asr.events import Word
from asr.streaming.vad import FRAME_S
from tests.speech import RATE_HZ, SPEECH_WORDS, clip, silence, speech

FOX = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(precision="float32")


def spoken_span_s(name: str, at_s: float) -> tuple[float, float]:
    """When a clip's speech begins and ends, by voice activity, if the clip begins at `at_s`."""
    loud = np.flatnonzero(speech_runs(clip(name)).probabilities >= 0.5)
    return at_s + loud[0] * FRAME_S, at_s + (loud[-1] + 1) * FRAME_S


def test_words_lie_in_the_clip_that_they_are_said_in(engine: Engine) -> None:
    """Every word of the text once, in order; the first and the last of a clip at its speech's edges, to 0.15 s."""
    found = align(speech(), SPEECH_WORDS, engine)
    assert [word.text for word in found.words] == SPEECH_WORDS.split()
    starts = [word.start_s for word in found.words]
    assert starts == sorted(starts)
    assert all(word.start_s < word.end_s for word in found.words)
    fox_s = len(clip("quick_brown_fox")) / RATE_HZ
    begins_s, ends_s = spoken_span_s("quick_brown_fox", 0.4)
    assert found.words[0].start_s == pytest.approx(begins_s, abs=0.15)
    assert found.words[8].end_s == pytest.approx(ends_s, abs=0.15)
    begins_s, ends_s = spoken_span_s("hello_world", 0.4 + fox_s + 0.25 + len(clip("counting")) / RATE_HZ + 1.2)
    assert found.words[-2].start_s == pytest.approx(begins_s, abs=0.15)
    assert found.words[-1].end_s == pytest.approx(ends_s, abs=0.15)


def test_a_recording_longer_than_the_model_sees(engine: Engine) -> None:
    """70 s: the sentence said every 7 s is found where it is said each time."""
    every = round(7 * RATE_HZ)
    once = np.pad(clip("quick_brown_fox"), (0, every - len(clip("quick_brown_fox"))))
    found = align(np.tile(once, 10), " ".join([FOX] * 10), engine)
    begins_s, ends_s = spoken_span_s("quick_brown_fox", 0.0)
    firsts, lasts = found.words[::9], found.words[8::9]
    assert [word.text for word in firsts] == ["The"] * 10
    assert [word.start_s - 7 * i for i, word in enumerate(firsts)] == pytest.approx([begins_s] * 10, abs=0.2)
    assert [word.end_s - 7 * i for i, word in enumerate(lasts)] == pytest.approx([ends_s] * 10, abs=0.2)


def test_a_text_that_is_not_said_scores_low(engine: Engine) -> None:
    """The score tells a label that does not fit; the right one is far above it."""
    right = align(clip("quick_brown_fox"), FOX, engine).score
    wrong = align(clip("quick_brown_fox"), "Colourless green ideas sleep furiously at the parliament.", engine).score
    assert right > 0.5
    assert wrong < right / 10


def test_a_text_too_long_for_its_recording_is_refused(engine: Engine) -> None:
    """In one sentence that tells both lengths."""
    with pytest.raises(CallerError, match=r"tokens is not said in 1\.\d s"):
        align(clip("hello_world")[:RATE_HZ], FOX * 10, engine)


def test_no_text_has_no_words(engine: Engine) -> None:
    """An empty reference is aligned at once."""
    assert align(silence(1.0), "  ", engine).words == ()


def test_text_without_spaces_is_aligned_by_character() -> None:
    """Japanese: what is said comes out whole, each piece in order."""
    found = align(clip("pangrama", "ja"), "いろはにほへと ちりぬるを", Engine.load("whisper-base"), language="ja")
    assert "".join(word.text for word in found.words) == "いろはにほへとちりぬるを"
    assert [word.start_s for word in found.words] == sorted(word.start_s for word in found.words)


def test_a_cut_goes_into_the_longest_pause_between_anchors() -> None:
    """Words at 1, 2, ..., 30 s; silence at 12.4 to 12.8 s and, longer, where no anchor stands beside it."""
    probabilities = np.ones(round(31 / FRAME_S))
    for begin_s, end_s in ((12.4, 12.8), (8.2, 9.8)):
        probabilities[round(begin_s / FRAME_S) : round(end_s / FRAME_S)] = 0.0
    words = [f"w{i}" for i in range(1, 31)]
    heard = [Word(f" W{i},", i - 0.1, i + 0.1, 1.0) for i in range(1, 31) if i not in (8, 9, 10)]
    whole = Stretch(0, 31 * RATE_HZ, " ".join(words))
    found = stretches(whole, heard, SpeechRuns(probabilities), 20 * RATE_HZ)
    assert [part.text.split()[0] for part in found] == ["w1", "w13"]
    assert found[0].end / RATE_HZ == pytest.approx(12.6, abs=0.04)
    assert " ".join(part.text for part in found) == whole.text
    assert found[-1].end == whole.end


def test_a_transcript_without_anchors_still_gives_stretches() -> None:
    """Nothing was recognised: the words are spread over the recording, none is lost, no stretch is too long."""
    whole = Stretch(0, 100 * RATE_HZ, " ".join(f"w{i}" for i in range(50)))
    found = stretches(whole, [], SpeechRuns(np.ones(round(100 / FRAME_S))), 24 * RATE_HZ)
    assert " ".join(part.text for part in found) == whole.text
    assert all(0 < part.end - part.start <= 24 * RATE_HZ for part in found)


def test_the_command_prints_a_line_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Start, end, score, word; the text may lie in a file; subtitles on request."""
    soundfile.write(tmp_path / "fox.wav", clip("quick_brown_fox"), RATE_HZ)
    (tmp_path / "fox.txt").write_text(FOX)
    assert run(["align", str(tmp_path / "fox.wav"), str(tmp_path / "fox.txt")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[3] for line in lines] == FOX.split()
    assert all(0 <= float(line[0]) < float(line[1]) < 4 and 0 <= float(line[2]) <= 1 for line in lines)
    assert run(["align", str(tmp_path / "fox.wav"), FOX, "--format", "srt"]) == 0
    assert "-->" in capsys.readouterr().out
