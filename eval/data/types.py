"""What is recognised and what is expected: clips, utterances, recordings, data sets, and the problems in them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.errors import CallerError
from asr.normalisation.normalise import is_by_character
from eval.data.conditions import Overlay
from eval.trace import Attributes, Span


class DataError(CallerError):
    """No part of the data can be used. Broken parts of usable data are `Problem`s instead."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One audio file, or a part of one, and its text.

    ``words`` is a forced alignment, ``segments`` are parts of the text with their times; empty if the data has none.
    ``offset_s`` is the start of a part, which lasts ``duration_s``; None means the whole file.
    """

    audio: Path
    text: str
    duration_s: float
    words: tuple[Span, ...] = ()
    segments: tuple[Span, ...] = ()
    offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """The input of one session: one clip, or several with ``gap_s`` of digital silence between them.

    ``overlay`` holds the conditions applied to it; None leaves the audio unchanged. ``source`` is the file and line
    that lists it.
    """

    id: str
    dataset: str
    clips: tuple[Clip, ...]
    language: str = ""
    speaker: str = ""
    gap_s: float = 0.0
    attributes: Attributes = ()
    overlay: Overlay | None = None
    source: tuple[Path, int] | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """The reference: the texts of all clips, joined."""
        joiner = "" if is_by_character(self.language) else " "
        return joiner.join(clip.text for clip in self.clips if clip.text)

    @property
    def duration_s(self) -> float:
        """By the manifest's durations. `eval.data.dataset.read` returns the exact number of samples."""
        return sum(clip.duration_s for clip in self.clips) + self.gap_s * (len(self.clips) - 1)


@dataclass(frozen=True, slots=True)
class Recording:
    """An utterance in memory: mono float32 samples ``(n,)`` at 16 kHz, with word times if known.

    A segment is a clip, or a part of one whose times are known. ``aligner`` names the model that aligned the words;
    "" if the times come from the data set.
    """

    utterance: Utterance
    samples: np.ndarray
    segments: tuple[Span, ...]
    words: tuple[Span, ...]
    aligner: str = ""

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the data that was left out. ``line`` counts from 1; 0 means the whole file."""

    file: Path
    line: int
    what: str

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"
        return text.encode("utf-8", "backslashreplace").decode("utf-8")  # a file's name may be no UTF-8


def unreadable(utterance: Utterance, error: Exception) -> Problem:
    """The problem of a recording that cannot be decoded, at the line that lists it if there is one."""
    file, line = utterance.source or (utterance.clips[0].audio, 0)
    return Problem(file, line, str(error))


@dataclass(frozen=True, slots=True)
class Dataset:
    """The usable utterances of one source, and what could not be used of it."""

    name: str
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...] = ()
