"""Short labelled recordings for the tests: the clips that the package pytest-audioeval carries, alone and joined."""

from importlib.resources import files

import numpy as np
import soundfile

RATE_HZ = 16_000


def clip(name: str, language: str = "en") -> np.ndarray:
    """One clip, mono float32 at 16 kHz."""
    path = files("pytest_audioeval").joinpath(f"samples/audio/{language}/{name}.wav")
    samples, rate_hz = soundfile.read(str(path), dtype="float32")
    assert rate_hz == RATE_HZ
    return np.asarray(samples, np.float32)


def silence(seconds: float) -> np.ndarray:
    """Digital silence."""
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def speech() -> np.ndarray:
    """About eleven seconds: two sentences close together, a pause that ends an utterance, a third."""
    parts = [silence(0.4), clip("quick_brown_fox"), silence(0.25), clip("counting"), silence(1.2), clip("hello_world")]
    return np.concatenate([*parts, silence(0.3)])


SPEECH_WORDS = (
    "the quick brown fox jumps over the lazy dog one two three four five six seven eight nine ten hello world"
)
"""What is said in `speech`, in words."""
