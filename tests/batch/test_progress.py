"""The line that shows how far a run is, and how long it will still take."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from batch.inputs import Failure, Recording
from batch.progress import Remaining


@pytest.fixture
def recording(tmp_path: Path) -> Callable[[str, float], Recording]:
    def made(name: str, seconds: float) -> Recording:
        path = tmp_path / name
        if seconds:
            soundfile.write(path, np.zeros(round(16000 * seconds), np.int16), 16000)
        else:
            path.write_bytes(b"not audio!")
        return Recording(path, path.stem)

    return made


def test_a_broken_file_and_a_long_one(recording: Callable[[str, float], Recording]) -> None:
    """Ten bytes that fail at once say nothing about the 21 minutes that are left."""
    broken, long = recording("broken.mp3", 0.0), recording("long.wav", 1260.0)
    remaining = Remaining((broken, long))
    remaining.measure()
    remaining.failed(Failure(broken.path, "it is no recording"))
    assert remaining.seconds(5.0) is None  # nothing recognised yet
    remaining.recognised(126.0)
    assert remaining.seconds(20.0) == pytest.approx(20.0 * 9)
    remaining.recognised(504.0)
    assert remaining.seconds(100.0) == pytest.approx(100.0)


def test_silence_counts_when_its_recording_is_done(recording: Callable[[str, float], Recording]) -> None:
    first, second = recording("first.wav", 60.0), recording("second.wav", 60.0)
    remaining = Remaining((first, second))
    remaining.measure()
    remaining.recognised(6.0)  # the rest of it is silence
    remaining.done(first)
    assert remaining.seconds(10.0) == pytest.approx(10.0)
    remaining.done(second)
    assert remaining.seconds(12.0) == 0.0


def test_no_guess_from_the_first_moments(recording: Callable[[str, float], Recording]) -> None:
    """While the model loads nothing is recognised: a speed that counts this would promise hours."""
    one = recording("one.wav", 600.0)
    remaining = Remaining((one,))
    assert remaining.seconds(1.0) is None
    remaining.measure()
    remaining.recognised(10.0)
    assert remaining.seconds(8.0) is None
    assert remaining.seconds(61.0) == pytest.approx(61.0 * 59)


def test_a_header_without_a_length_counts_by_its_size(recording: Callable[[str, float], Recording]) -> None:
    known, unknown = recording("known.wav", 100.0), recording("unknown.mp3", 0.0)
    unknown.path.write_bytes(b"x" * known.path.stat().st_size)
    remaining = Remaining((known, unknown))
    remaining.measure()
    remaining.recognised(100.0)
    assert remaining.seconds(30.0) == pytest.approx(30.0)
