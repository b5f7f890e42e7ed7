"""A batch job: all that its texts depend on besides the recordings, and the key of that in the journal."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from batch.messages import Task

VERSION = 4
"""Raised when texts change for reasons that are neither in the weights nor in the settings."""


@dataclass(frozen=True, slots=True)
class BatchJob:
    """What to do with each recording, and where the results go."""

    output_dir: Path
    task: Task
    weights_sha256: str
    formats: tuple[str, ...] = ("txt",)
    word_times: bool = False

    @property
    def key(self) -> str:
        """The hash of all that a text depends on besides its recording. A text with another key is written again."""
        precision = self.task.precision
        table = [VERSION, self.weights_sha256, precision, self.word_times, self.settings(precision)]
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()

    def settings(self, precision: str) -> dict[str, object]:
        """The settings of a transcript as JSON has them; `precision` is the one that the model computed in."""
        task = self.task
        options = {
            "language": task.language or "auto",
            "prompt": task.prompt,
            "hotwords": list(task.hotwords),
            "precision": precision,
        }
        settings = asdict(task.settings)
        settings["vad"] |= {"ahead_ms": 64}  # of live streams only; the value of version 4 keeps the keys of its texts
        del settings["vad"]["ahead_unused"]
        return options | settings
