"""What is said quietly is written, and noise is not: whisper-tiny.en, live and in recordings, at several levels."""

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher

import numpy as np
import pytest
from scipy import signal

from asr.engine import Engine
from asr.events import Final
from asr.transcripts.recording import transcribe
from tests.speech import RATE_HZ, clip, speech

SECONDS = 12
N = SECONDS * RATE_HZ
TIME_S = np.arange(N) / RATE_HZ
NOISE_DB = -23


def streamed(engine: Engine, samples: np.ndarray) -> str:
    """The final text of a live stream."""
    session = engine.open()
    for start in range(0, len(samples), 1600):
        session.receive_audio(samples[start : start + 1600])
        while session.ready:
            engine.step([session])
    session.receive_end()
    while not session.ended:
        engine.step([session])
    return "".join(event.text for event in session.take_events() if isinstance(event, Final))


def at_level(samples: np.ndarray, db: float) -> np.ndarray:
    """Samples ``(n,)`` amplified by this much and rounded to 16 bits."""
    return np.asarray(np.round(samples * 10 ** (db / 20) * 32768) / 32768, np.float32)


def words(text: str) -> list[str]:
    """The words of a text without case and punctuation."""
    return re.findall(r"\w+", text.lower())


@pytest.mark.slow
@pytest.mark.parametrize("db", [-20, -40, -60])
@pytest.mark.parametrize("recognise", [streamed, lambda engine, x: transcribe(x, engine).text], ids=["live", "file"])
def test_quiet_speech_has_its_words(
    whisper_tiny: Engine, recognise: Callable[[Engine, np.ndarray], str], db: float
) -> None:
    """From the first to the last. At -60 dB the samples have some 60 values, so a word may be misheard."""
    ordinary, quiet = (words(recognise(whisper_tiny, at_level(speech(), at_db))) for at_db in (0, db))
    assert quiet[:3] == ["the", "quick", "brown"]
    assert quiet[-2:] == ["hello", "world"]
    assert SequenceMatcher(None, ordinary, quiet).ratio() > 0.85


# -- noise -------------------------------------------------------------------------------------------------------------


def white(seed: int, count: int = N) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count)


def coloured(seed: int, power: float) -> np.ndarray:
    """Noise whose power falls with frequency to this power."""
    hz = np.fft.rfftfreq(N, 1 / RATE_HZ)
    hz[0] = hz[1]
    return np.fft.irfft(np.fft.rfft(white(seed)) / hz ** (power / 2), N)


def bursts(seed: int, per_s: float, low_hz: float, high_hz: float, ms: float) -> np.ndarray:
    """Short bursts of noise in a band at random times, over a faint noise."""
    rng = np.random.default_rng(seed)
    made = 0.002 * white(seed + 1)
    band = signal.butter(2, [low_hz, high_hz], "band", fs=RATE_HZ)
    for _ in range(round(per_s * SECONDS)):
        length = round(ms / 1000 * RATE_HZ * rng.uniform(0.6, 1.4))
        at = rng.integers(0, N - length)
        burst = signal.lfilter(*band, rng.standard_normal(length)) * np.exp(-np.arange(length) / (length / 5))
        made[at : at + length] += burst * rng.uniform(0.3, 1)
    return made


def voices(seed: int, speakers: int, *, backwards: bool = False) -> np.ndarray:
    """Speakers of other languages on top of each other, each at another place: no word can be understood."""
    rng = np.random.default_rng(seed)
    clips = [("pangrama", language) for language in ("es", "fr", "hi", "it", "ja", "pl")] + [("conteo", "es")]
    made = np.zeros(N)
    for i in range(speakers):
        one = clip(*clips[i % len(clips)]).astype(np.float64)
        one = np.resize(one[::-1] if backwards else one, N)
        made += np.roll(one / one.std(), rng.integers(0, N)) * rng.uniform(0.6, 1)
    return made


def melody(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = np.zeros(N)
    for start in range(0, N - 8000, 4300):
        hz = 220 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
        tone = sum(np.sin(2 * np.pi * hz * k * TIME_S[:8000]) / k**1.5 for k in range(1, 7))
        made[start : start + 8000] += tone * np.exp(-np.arange(8000) / 2700)
    return made


def breaths() -> np.ndarray:
    """In and out, four seconds each time."""
    band = signal.butter(2, [300, 2000], "band", fs=RATE_HZ, output="sos")
    return signal.sosfilt(band, white(31)) * np.maximum(0, np.sin(2 * np.pi * TIME_S / 2)) ** 2 + 0.003 * white(32)


NOISES: dict[str, Callable[[], np.ndarray]] = {
    "white noise": lambda: white(1),
    "rain": lambda: 0.3 * coloured(2, 0.6) + bursts(3, 100, 1000, 7000, 5),
    "wind": lambda: coloured(4, 1.7) * (1.1 + np.sin(2 * np.pi * 0.4 * TIME_S)) ** 2,
    "mains hum": lambda: sum(np.sin(2 * np.pi * 50 * k * TIME_S + k) / k for k in range(1, 20)) + 0.02 * white(5),
    "keyboard": lambda: bursts(6, 8, 1500, 6000, 15),
    "clicks": lambda: bursts(7, 3, 500, 7000, 3),
    "doors": lambda: bursts(8, 0.6, 40, 600, 300),
    "applause": lambda: bursts(9, 200, 600, 4500, 15),
    "phone": lambda: (np.sin(2 * np.pi * 440 * TIME_S) + np.sin(2 * np.pi * 480 * TIME_S)) * (TIME_S % 4 < 2),
    "a mobile phone's buzz": lambda: (
        signal.square(2 * np.pi * 217 * TIME_S, 0.12) * (np.sin(2 * np.pi * 1.2 * TIME_S) > 0) + 0.01 * white(10)
    ),
    "siren": lambda: np.sin(2 * np.pi * np.cumsum(900 + 400 * np.sin(2 * np.pi * 0.4 * TIME_S)) / RATE_HZ),
    "music": lambda: melody(11),
    "breathing": breaths,
    "babble of 8": lambda: voices(12, 8),
    "babble of 14": lambda: voices(13, 14),
    "babble of 24": lambda: voices(14, 24),
    "babble of 12, backwards": lambda: voices(15, 12, backwards=True),
    "voices behind a wall": lambda: signal.sosfilt(
        signal.butter(3, 350, "low", fs=RATE_HZ, output="sos"), voices(16, 3)
    ),
}


def levels(noise: np.ndarray) -> Iterator[np.ndarray]:
    """A noise at -23, -48 and -68 dB of full scale."""
    noise = noise / noise.std() * 10 ** (NOISE_DB / 20)
    noise = noise * min(1.0, 0.9 / np.abs(noise).max())
    for db in (0, -25, -45):
        yield at_level(noise, db)


@pytest.mark.parametrize("made", NOISES.values(), ids=NOISES)
def test_noise_has_no_words(whisper_tiny: Engine, made: Callable[[], np.ndarray]) -> None:
    """At no level: the gain of voice activity makes faint noise as loud as other noise, not more like speech."""
    assert [streamed(whisper_tiny, noise) for noise in levels(made())] == ["", "", ""]
