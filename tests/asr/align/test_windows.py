"""A long recording and its text cut into stretches: where the cuts go, and that no word is lost."""

import numpy as np
import pytest

from asr.align.speech import SpeechRuns
from asr.align.windows import Stretch, stretches
from asr.events import Word
from asr.streaming.vad import FRAME_S
from tests.speech import RATE_HZ


def test_a_cut_goes_into_the_longest_pause_between_anchors() -> None:
    """Words at 1, 2, ..., 30 s; silence at 12.4 to 12.8 s and, longer, where no anchor stands beside it."""
    probabilities = np.ones(round(31 / FRAME_S))
    for begin_s, end_s in ((12.4, 12.8), (8.2, 9.8)):
        probabilities[round(begin_s / FRAME_S) : round(end_s / FRAME_S)] = 0.0
    words = [f"w{i}" for i in range(1, 31)]
    transcript = [Word(f" W{i},", i - 0.1, i + 0.1, 1.0) for i in range(1, 31) if i not in (8, 9, 10)]
    whole = Stretch(0, 31 * RATE_HZ, " ".join(words))
    parts = stretches(whole, transcript, SpeechRuns(probabilities), 20 * RATE_HZ)
    assert [part.text.split()[0] for part in parts] == ["w1", "w13"]
    assert parts[0].end / RATE_HZ == pytest.approx(12.6, abs=0.04)
    assert " ".join(part.text for part in parts) == whole.text
    assert parts[-1].end == whole.end


def test_a_transcript_without_anchors_still_gives_stretches() -> None:
    """Nothing was recognised: the words are spread over the recording, none is lost, no stretch is too long."""
    whole = Stretch(0, 100 * RATE_HZ, " ".join(f"w{i}" for i in range(50)))
    parts = stretches(whole, [], SpeechRuns(np.ones(round(100 / FRAME_S))), 24 * RATE_HZ)
    assert " ".join(part.text for part in parts) == whole.text
    assert all(0 < part.end - part.start <= 24 * RATE_HZ for part in parts)
