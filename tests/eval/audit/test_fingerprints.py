"""The same speech in files that differ."""

import io

import numpy as np
import pytest
import soundfile

from asr.config import SAMPLE_RATE_HZ
from eval.audit.fingerprints import fingerprint, near_copies
from tests.speech import clip, silence

OTHERS = ("counting", "hello_world")


def mp3(samples: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.9)
    file.seek(0)
    decoded: np.ndarray = soundfile.read(file, dtype="float32")[0]
    return decoded


def noisy(samples: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=len(samples)) * np.sqrt(np.mean(samples**2)) / 10
    return (samples + noise).astype(np.float32)


CHANGES = {
    "another encoding": mp3,
    "turned down": lambda samples: samples * 0.1,
    "start and end cut": lambda samples: samples[3777:-2500],
    "two thirds of it": lambda samples: samples[: 2 * len(samples) // 3],
    "silence before it": lambda samples: np.concatenate([np.zeros(12_345, np.float32), samples]),
    "noise of 20 dB": noisy,
    "every second sample": lambda samples: np.repeat(samples[::2], 2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_among_others(change: str) -> None:
    """And nothing else is."""
    fox = clip("quick_brown_fox")
    recordings = [clip(OTHERS[0]), fox, clip(OTHERS[1]), CHANGES[change](fox)]
    (copy,) = near_copies([fingerprint(samples) for samples in recordings])
    assert (copy.left, copy.right) == (1, 3)
    assert copy.same_bits >= 0.8
    assert 1.0 <= copy.overlap_s <= 3.1


def test_silence_and_short_sounds_have_no_copies() -> None:
    """Their frames say nothing."""
    nothing, short = silence(3.0), clip("hello_world")[:8000]
    prints = [fingerprint(samples) for samples in (nothing, nothing, short, short, nothing[:100])]
    assert near_copies(prints) == []
