"""Numbers of utterances: they follow from the samples alone, move with the sound, and hold no word."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from asr.audio.files import read_blocks
from asr.engine import Engine
from asr.events import Event, Measured, text_of
from asr.ledger import VitalsRow, open_ledger
from asr.self_test import SAMPLE
from asr.vitals import INDEX, NAMES
from asr.vitals.recorder import Recorder
from asr.vitals.sound import FRAME_SAMPLES, acoustic, frame_numbers
from eval.data.effects import add_noise, telephone


def tone(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that swells four times a second: speech, as far as a spectrum knows."""
    count = round(seconds * 16000) // FRAME_SAMPLES * FRAME_SAMPLES
    noise = np.random.default_rng(seed).standard_normal(count)
    swell = 0.02 + np.sin(np.arange(count) / 16000 * 2 * np.pi * 2) ** 2
    return (0.05 * noise * swell).astype(np.float32)


def numbers_of(samples: np.ndarray) -> dict[str, float]:
    return dict(acoustic(frame_numbers(samples), np.ones(len(samples) // FRAME_SAMPLES)))


def test_levels_are_those_of_the_samples() -> None:
    """A sine of half of full scale has -9 dB; doubling the samples adds 6 dB and changes no ratio."""
    sine = (0.5 * np.sin(np.arange(160 * FRAME_SAMPLES) / 16000 * 2 * np.pi * 1000)).astype(np.float32)
    assert numbers_of(sine)["level_db"] == pytest.approx(-9.03, abs=0.2)
    once, twice = numbers_of(tone(4)), numbers_of(2 * tone(4))
    assert twice["level_db"] - once["level_db"] == pytest.approx(6.02, abs=0.05)
    for name in ("snr_db", "rolloff_khz", "high_db", "tilt_db", "flatness", "modulation", "decay_db"):
        assert twice[name] == pytest.approx(once[name], abs=0.05), name


def test_noise_lines_and_clipping_move_their_numbers() -> None:
    """Each condition shows where it should."""
    clean = tone(6)
    noisy = numbers_of(add_noise(clean, np.random.default_rng(1).standard_normal(len(clean)), 5).astype(np.float32))
    narrow = numbers_of(telephone(clean).astype(np.float32))
    clipped = numbers_of(np.clip(40 * clean, -1, 1))
    plain = numbers_of(clean)
    assert noisy["snr_db"] < plain["snr_db"] - 3
    assert narrow["rolloff_khz"] < 4.1 < 7 < plain["rolloff_khz"]
    assert narrow["high_db"] < plain["high_db"] - 20
    assert clipped["clipped"] > 0.05 > plain["clipped"]


def test_a_silent_stream_takes_no_memory() -> None:
    """Hours without an utterance: only the silence that belongs to the next one is kept."""
    recorder = Recorder()
    for block in range(600):
        recorder.receive(np.zeros(62 * FRAME_SAMPLES, np.float32), np.zeros(62))
        recorder.forget((block + 1) * 62 * FRAME_SAMPLES)
    assert len(pickle.dumps(recorder)) < 100_000


def fed(engine: Engine, samples: np.ndarray, chunk: int) -> list[Event]:
    session = engine.open(vitals=True, hotwords=["steady", "zebra"])
    events: list[Event] = []
    for start in range(0, len(samples), chunk):
        session.receive_audio(samples[start : start + chunk])
        while session.ready:
            engine.step([session])
        session = pickle.loads(pickle.dumps(session))
        events += session.take_events()
    session.receive_end()
    while not session.ended:
        engine.step([session])
    return events + session.take_events()


@pytest.mark.model
def test_numbers_follow_from_the_samples_alone(whisper_tiny: Engine, tmp_path: Path) -> None:
    """However the audio is cut, and over saved sessions too. No byte of a word reaches the ledger."""
    speech = np.concatenate(list(read_blocks(SAMPLE)))
    samples = np.concatenate([speech, np.zeros(24000, np.float32), speech])
    small, large = fed(whisper_tiny, samples, 1600), fed(whisper_tiny, samples, len(samples))
    one, other = ([event for event in events if isinstance(event, Measured)] for events in (small, large))
    assert len(one) == len(other) >= 2
    assert [event.utterance for event in one] == list(range(len(one)))
    for a, b in zip(one, other, strict=True):
        assert (a.words, a.audio_s, a.language) == (b.words, b.audio_s, b.language)
        np.testing.assert_allclose(a.numbers, b.numbers, rtol=1e-3, atol=1e-3)
    first = dict(zip(NAMES, one[0].numbers, strict=True))
    assert 0 < first["confidence"] <= 1
    assert first["words_per_s"] > 0.5
    assert first["terms_asked"] == 2
    assert np.isfinite([dict(zip(NAMES, event.numbers, strict=True))["accent"] for event in one]).all()
    rows = [
        VitalsRow(1.0, "m", 1, "s", "", e.utterance, e.language, "", e.audio_s, e.words, np.array(e.numbers))
        for e in one
    ]
    with open_ledger(tmp_path / "ledger.db") as ledger:
        ledger.add_vitals(rows)
        assert ledger.vitals("m")[0].numbers[INDEX["terms_asked"]] == 2
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file()).lower()
    said = {word.strip(".,!?").lower() for word in text_of(small).split()}
    assert said
    assert not [word for word in said if len(word) > 3 and word.encode() in written]


@pytest.mark.model
def test_who_does_not_ask_gets_no_numbers(whisper_tiny: Engine) -> None:
    """A session without vitals emits what it always did."""
    session = whisper_tiny.open()
    session.receive_audio(np.concatenate(list(read_blocks(SAMPLE))))
    session.receive_end()
    while not session.ended:
        whisper_tiny.step([session])
    assert not [event for event in session.take_events() if isinstance(event, Measured)]
