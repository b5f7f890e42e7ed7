"""Labelled recordings -> the vitals and the errors of each, kept in one file: how speech under a condition looks.

A row is a recording's first utterance with speech, since the watch of live streams counts a stream by it; the errors
are those of its whole text. The file holds numbers and the names of speakers, never a word.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from asr.engine import Engine
from asr.errors import AudioError, ConfigError
from asr.events import Measured
from asr.vitals import INDEX, NAMES, VERSION
from eval.data.dataset import read
from eval.data.types import Dataset, Utterance
from eval.metrics.word_errors import align_texts, counts_of
from eval.recording_vitals import recording_vitals

COLUMNS = ("speakers", "numbers", "errors", "words")
"""The fields of a `MeasuredSet` with a row for each recording."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredSet:
    """The recordings of one data set under one condition.

    Attributes:
        data: Name of the data set, without the condition.
        condition: The chain as `asr eval run --condition` takes it; "": as recorded.
        language: Of the recordings.
        command: That replays it.
        is_own: Whether the live speech should be like it; another language or an accent is not.
        speakers: Of each recording; "" where unknown. ``(n,)``
        numbers: float32 ``(n, len(NAMES))``.
        errors, words: Word errors, and words of the reference. ``(n,)``
    """

    data: str
    condition: str
    language: str
    command: str
    is_own: bool
    speakers: np.ndarray
    numbers: np.ndarray
    errors: np.ndarray
    words: np.ndarray

    @property
    def wer(self) -> float:
        """In per cent; NaN without a word."""
        return float(100 * self.errors.sum() / self.words.sum()) if self.words.sum() else float("nan")


def measure(
    engine: Engine, dataset: Dataset, data: str, condition: str, command: str = "", is_own: bool = True
) -> MeasuredSet:
    """Recognises each recording once. Those without speech, or that cannot be read, are left out."""
    rows = list(_rows(engine, dataset.utterances))
    if not rows:
        raise ConfigError(f"found no recording with speech in {dataset.name}, wanted some")
    speakers, numbers, errors, words = zip(*rows, strict=True)
    return MeasuredSet(
        data,
        condition,
        dataset.utterances[0].language,
        command,
        is_own,
        np.array(speakers, str),
        np.array(numbers, np.float32),
        np.array(errors),
        np.array(words),
    )


def _rows(engine: Engine, utterances: Iterable[Utterance]) -> Iterator[tuple[str, np.ndarray, int, int]]:
    for utterance in utterances:
        try:
            samples = read(utterance).samples
        except AudioError:
            continue
        measured, words = recording_vitals(engine, samples, spoken(engine, utterance.language))
        first = first_with_speech(measured)
        if first is not None:
            text = "".join(word.text for word in words)
            counts = counts_of(align_texts(utterance.text, text, utterance.language))
            yield utterance.speaker, first, counts.errors, counts.reference_length


def spoken(engine: Engine, language: str) -> str | None:
    """The language as a client would ask for it; None where the model does not have it."""
    return language if language in engine.languages else None


def first_with_speech(measured: Iterable[Measured]) -> np.ndarray | None:
    """The numbers ``(len(NAMES),)`` of the first utterance with speech."""
    for each in measured:
        numbers = np.array(each.numbers, np.float32)
        if numbers[INDEX["speech_share"]] > 0:
            return numbers
    return None


def save(path: Path, sets: Iterable[MeasuredSet]) -> None:
    """Replaces the file in one step."""
    arrays: dict[str, Any] = {}
    heads = []
    for number, each in enumerate(sets):
        heads.append([each.data, each.condition, each.language, each.command, each.is_own])
        for name in COLUMNS:
            arrays[f"{name}{number}"] = getattr(each, name)
    head = json.dumps({"version": VERSION, "names": NAMES, "sets": heads})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, head=np.array(head), **arrays)
    temporary.replace(path)


def load(path: Path) -> list[MeasuredSet]:
    """The sets of a file. Raises `ConfigError` for one that is none, or has other numbers."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            head = json.loads(str(file["head"]))
            if head["version"] != VERSION:
                raise ConfigError(f"{path} has vitals of version {head['version']}, wanted {VERSION}: measure again")
            return [_set(names, *(file[f"{column}{i}"] for column in COLUMNS)) for i, names in enumerate(head["sets"])]
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise ConfigError(f"{path} holds no measured vitals ({error}), wanted a file that measuring made") from None


def _set(
    names: Sequence[Any], speakers: np.ndarray, numbers: np.ndarray, errors: np.ndarray, words: np.ndarray
) -> MeasuredSet:
    """The set, with NaN for numbers that did not exist yet when the file was made."""
    whole = np.pad(numbers, ((0, 0), (0, len(NAMES) - numbers.shape[1])), constant_values=np.nan)
    data, condition, language, command, is_own = names
    return MeasuredSet(data, condition, language, command, is_own, speakers, whole, errors, words)
