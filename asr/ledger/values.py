"""What the ledger holds. Rows have numbers, names and hashes, never a word that was said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True, slots=True)
class Release:
    """One immutable folder of weights and settings: number ``number`` of the model ``name``.

    ``sha256`` is that of the whole folder (`asr.ledger.folders.folder_sha256`). ``added_at_s``: seconds since 1970.
    """

    name: str
    number: int
    sha256: str
    folder: Path
    added_at_s: float
    by: str
    why: str

    @property
    def ref(self) -> str:
        """The name of the release: ``NAME/7``."""
        return f"{self.name}/{self.number}"


@dataclass(frozen=True, slots=True)
class Move:
    """One row of the history: an alias went from one release to another. None: it was, or is, on none.

    ``id`` orders the moves; ``at_s`` (seconds since 1970) is only for readers, since clocks jump. ``evidence`` is what
    the move rests on; ``options`` say how the alias is used from here on, such as the canary's weight.
    """

    id: int
    at_s: float
    name: str
    alias: str
    from_number: int | None
    to_number: int | None
    by: str
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gate:
    """One look of the evaluation's gate at a release, beside the champion of that moment (None: there was none).

    ``evidence``: the figures, and which sets they are of.
    """

    at_s: float
    name: str
    release: int
    champion: int | None
    has_passed: bool
    by: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """One stream that two releases heard. ``champion`` and ``challenger`` are numbers of releases.

    ``client`` is a salted hash. ``words`` and ``challenger_words`` count the words of the two normalised texts,
    ``distance`` is their edit distance in words. ``draw_probability`` (0 to 1) is the chance that the stream had to be
    drawn for labelling, ``is_drawn`` the result. ``id`` is the row's number, 0 before it is stored.
    """

    at_s: float
    name: str
    champion: int
    challenger: int
    stream_id: str
    client: str
    language: str
    audio_s: float
    words: int
    challenger_words: int
    distance: int
    draw_probability: float
    is_drawn: bool
    id: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One stream that ended. ``arm`` is "champion" or "canary", ``cause`` why the stream ended.

    Of the arm "shadow" there are only streams on which the shadow failed; the others are pairs. A row of the arm
    "loading" is no stream: a server could not load the release.
    ``delay_p95_s`` is the 95th percentile of its words' delay, None for a stream without a word.
    """

    at_s: float
    name: str
    release: int
    arm: str
    stream_id: str
    client: str
    audio_s: float
    words: int
    delay_p95_s: float | None
    cause: str
    id: int = 0


class PairPart(NamedTuple):
    """The columns of a `Pair` that verdicts rest on: a tuple, since a round reads a hundred thousand of them."""

    at_s: float
    stream_id: str
    client: str
    words: int
    distance: int
    draw_probability: float
    is_drawn: bool
    id: int


class OutcomePart(NamedTuple):
    """The columns of an `Outcome` that verdicts rest on, as `PairPart`."""

    at_s: float
    release: int
    arm: str
    stream_id: str
    client: str
    audio_s: float
    words: int
    delay_p95_s: float | None
    cause: str
    id: int


@dataclass(frozen=True, slots=True)
class Label:
    """The errors that a person found in one release's text of a stream. ``words`` are those of the correct text."""

    stream_id: str
    at_s: float
    name: str
    release: int
    words: int
    errors: int
    by: str
    id: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class VitalsRow:
    """The numbers of one utterance of a live stream, never a word.

    ``utterance`` counts from 0 in each stream. ``client`` is a salted hash, or "" for an unknown one. ``codec`` is how
    the client sent its audio. ``numbers``: float32 ``(len(asr.vitals.NAMES),)``, NaN where a number is unknown; the
    ledger rounds them to float16.
    """

    at_s: float
    name: str
    release: int
    stream_id: str
    client: str
    utterance: int
    language: str
    codec: str
    audio_s: float
    words: int
    numbers: np.ndarray
    id: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """What was found in live speech. ``signal`` names the number that moved, ``sentence`` is for people.

    ``kind``: "shift" (the data moved), "concept suspected" (the texts moved, the sound did not), "concept confirmed"
    (labels say so) or "harm" (the words got worse). ``evidence``: the figures that it rests on.
    """

    at_s: float
    name: str
    kind: str
    signal: str
    sentence: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


ALARM_KINDS = ("shift", "concept suspected", "concept confirmed", "harm")
"""The values of `Alarm.kind`."""
