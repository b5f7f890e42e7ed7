"""What is heard and what is expected: clips, utterances, recordings, data sets, and what of them was left out."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.errors import CallerError
from eval.data.conditions import Overlay
from eval.normalise import is_by_character
from eval.trace import Attributes, Span


class DataError(CallerError):
    """Data of which nothing can be used; broken parts of usable data are `Problem`s instead."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One audio file, or a part of one, and what is said in it.

    ``words`` is a forced alignment, ``segments`` pieces of the text with their times; empty where there is none.
    ``offset_s`` is where a part begins, which then lasts ``duration_s``; None: the whole file.
    """

    audio: Path
    text: str
    duration_s: float
    words: tuple[Span, ...] = ()
    segments: tuple[Span, ...] = ()
    offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one session hears: one clip, or several with ``gap_s`` of digital silence between them.

    ``overlay``: the conditions laid over it, None where it is heard as it was recorded. ``source``: the file and line
    that told of it.
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
        """The reference."""
        joiner = "" if is_by_character(self.language) else " "
        return joiner.join(clip.text for clip in self.clips if clip.text)

    @property
    def duration_s(self) -> float:
        """As the manifest tells; `eval.data.dataset.read` knows to the sample."""
        return sum(clip.duration_s for clip in self.clips) + self.gap_s * (len(self.clips) - 1)


@dataclass(frozen=True, slots=True)
class Recording:
    """An utterance in memory: mono float32 ``(n,)`` at 16 kHz, aligned words where known.

    A segment is a clip, or a part of one whose times are known. ``aligner`` is what aligned the words, "" where the
    data set has them.
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
    """Something in the data that was left out. ``line`` counts from 1; 0 is the whole file."""

    file: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


def unreadable(utterance: Utterance, error: Exception) -> Problem:
    """The problem of a recording that could not be decoded, with the line that told of it where there is one."""
    file, line = utterance.source or (utterance.clips[0].audio, 0)
    return Problem(file, line, str(error))


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...] = ()
