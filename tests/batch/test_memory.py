"""Memory during a run over many recordings: nothing is kept of a recording that is done."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import soundfile

from batch.folders import inputs_of, job_of, start_backend
from batch.inputs import Failure, Recording
from batch.options import FolderOptions
from batch.run import run
from eval.runs.process_usage import memory_bytes
from tests.batch.helpers import NoProgress
from tests.speech import RATE_HZ, speech

pytestmark = pytest.mark.model

COUNT, INTERVAL = 600, 20


class MemoryScale(NoProgress):
    """Measures the memory of this process after every `INTERVAL` recordings."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes: list[int] = []

    def failed(self, failure: Failure) -> None:
        raise AssertionError(failure.sentence)

    def done(self, recording: Recording, notices: Sequence[str]) -> None:
        self.count += 1
        if self.count % INTERVAL == 0:
            self.bytes.append(memory_bytes(os.getpid()) or 0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the resident memory is read from /proc")
def test_memory_stays_flat_over_many_recordings(tmp_path: Path) -> None:
    """The peak of the last half exceeds that of the second quarter by less than the samples of the last half take.

    So a run that kept its samples, or as much of anything else, would fail.
    """
    sound = speech()
    for i in range(COUNT):
        path = tmp_path / "in" / f"{i}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, sound[i * 200 : i * 200 + RATE_HZ // 2], RATE_HZ)
    options = FolderOptions((tmp_path / "in",), tmp_path / "out", ("txt", "json"), workers=1)
    job, scale = job_of(options), MemoryScale()
    summary = run(job, inputs_of(options), lambda: start_backend(options, job, 1), scale)
    assert summary.done == COUNT
    quarter = len(scale.bytes) // 4
    second, last_half = scale.bytes[quarter : 2 * quarter], scale.bytes[2 * quarter :]
    samples_bytes = (COUNT // 2) * (RATE_HZ // 2) * 4
    assert max(last_half) - max(second) < samples_bytes
