"""Memory while a folder of many recordings is done: what is done is let go."""

import os
import sys
from pathlib import Path

import pytest
import soundfile

from batch.command import Wish, found_of, order_of, place_of
from batch.inputs import Failure, Recording
from batch.job import run
from eval.runs.process_usage import memory_bytes
from tests.speech import RATE_HZ, speech

COUNT, EVERY = 600, 20


class Weighing:
    """Looks on, and weighs this process each time so many recordings are done."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes: list[int] = []

    def begin(self, recordings: object, kept: int) -> None: ...
    def heard(self, seconds: float) -> None: ...

    def failed(self, failure: Failure) -> None:
        raise AssertionError(failure.sentence)

    def done(self, recording: Recording) -> None:
        self.count += 1
        if self.count % EVERY == 0:
            self.bytes.append(memory_bytes(os.getpid()) or 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the resident memory is read from /proc")
def test_memory_stays_flat_over_many_recordings(tmp_path: Path) -> None:
    """The most that is held in the last half, beyond the most in the second quarter, is less than the sound that went
    through meanwhile: a run that kept its samples, or as much of anything else, would be found out.
    """
    sound = speech()
    for i in range(COUNT):
        path = tmp_path / "in" / f"{i}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, sound[i * 200 : i * 200 + RATE_HZ // 2], RATE_HZ)
    wish = Wish((tmp_path / "in",), tmp_path / "out", ("txt", "json"), workers=1)
    order, key = order_of(wish)
    watcher = Weighing()
    summary = run(order, found_of(wish), key, lambda: place_of(wish, order, 1), watcher)
    assert summary.done == COUNT
    quarter = len(watcher.bytes) // 4
    second, last_half = watcher.bytes[quarter : 2 * quarter], watcher.bytes[2 * quarter :]
    went_through_bytes = (COUNT // 2) * (RATE_HZ // 2) * 4
    assert max(last_half) - max(second) < went_through_bytes
