"""What several tests of `batch` use."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from batch.inputs import Failure, Recording

ASR = [sys.executable, "-c", "from asr.cli import main; main()"]
"""The command `asr`, to start as a process."""


class NoProgress:
    """A `batch.results.Progress` that shows nothing."""

    def begin(self, recordings: Sequence[Recording], kept: int) -> None: ...
    def recognised(self, seconds: float) -> None: ...
    def done(self, recording: Recording, notices: Sequence[str]) -> None: ...
    def failed(self, failure: Failure) -> None: ...


def start_transcribe(folder: Path, out: Path, *options: str) -> "subprocess.Popen[bytes]":
    """`asr transcribe FOLDER --recursive --output-dir OUT`, in its own process group and without output."""
    command = [*ASR, "transcribe", str(folder), "--recursive", "--output-dir", str(out), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def results(out: Path) -> dict[str, bytes]:
    """The content of every file but those of the state folder, by its name in the output folder."""
    files = (path for path in out.rglob("*") if path.is_file() and ".steadyword" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in files}
