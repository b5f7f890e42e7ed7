"""Recordings for training: read, split by speaker, their texts as the model can write them."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from asr.errors import AudioError, CallerError, ConfigError
from eval.data.apply_conditions import audio_set
from eval.data.dataset import data_sha256, load_dataset, read
from eval.data.types import Utterance
from train.config import DataSettings, LabelSettings


@dataclass(frozen=True, slots=True)
class TeacherStates:
    """A teacher's states ``(frames, layers, width)``, every 20 ms, and of how many samples."""

    states: torch.Tensor
    samples: int


@dataclass(frozen=True, slots=True)
class Example:
    """Mono float32 samples ``(n,)`` at 16 kHz and what is said in them, as the model is to write it.

    ``heard`` is what a teacher heard in the recording as it was spoken, for kind = distil.
    """

    samples: np.ndarray
    text: str
    speaker: str
    heard: TeacherStates | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """The examples, and the hash of the utterances that they are made of."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    sha256: str


def load_split(settings: DataSettings, labels: LabelSettings, seed: int) -> Split:
    """Reads everything into memory. Raises `ConfigError` where a part is empty or a speaker is not there."""
    utterances = [u for path in settings.train for u in load_dataset(Path(path)).utterances if u.text.strip()]
    known = {utterance.speaker for utterance in utterances}
    for speaker in (*settings.left_out_speakers, *settings.dev_speakers):
        if speaker not in known:
            found = ", ".join(sorted(known)) or "none"
            raise ConfigError(f"no recording is by speaker {speaker!r}; the speakers are {found}")
    usable = [u for u in utterances if u.speaker not in settings.left_out_speakers]
    usable = [u for u in usable if u.duration_s <= settings.longest_s and _only(u, settings.words)]
    usable = usable[: settings.limit or None]
    train, dev = _parted(usable, settings, seed)
    if not train or not dev:
        raise ConfigError(f"{len(train)} recordings to train on and {len(dev)} to check with; wanted some of both")
    return Split(_examples(train, labels), _examples(dev, labels), data_sha256([*train, *dev]))


def _only(utterance: Utterance, words: Sequence[str]) -> bool:
    return not words or {*utterance.text.casefold().split()} <= {*words}


def _parted(
    utterances: Sequence[Utterance], settings: DataSettings, seed: int
) -> tuple[list[Utterance], list[Utterance]]:
    if settings.dev_speakers:
        dev = [u for u in utterances if u.speaker in settings.dev_speakers]
        return [u for u in utterances if u.speaker not in settings.dev_speakers], dev
    mixed = list(utterances)
    random.Random(seed).shuffle(mixed)
    count = round(settings.dev_share * len(mixed))
    return mixed[count:], mixed[:count]


def _examples(utterances: Iterable[Utterance], labels: LabelSettings) -> tuple[Example, ...]:
    found = []
    for utterance in utterances:
        try:
            samples = read(utterance).samples
        except AudioError:
            continue
        found.append(Example(samples, written(utterance.text, labels), utterance.speaker))
    return tuple(found)


def written(text: str, labels: LabelSettings) -> str:
    """A text by the rules; `auto` case is settled by `settled_labels` before."""
    for rule in labels.replace:
        old, new = rule.split("=", 1)
        text = text.replace(old, new)
    text = "".join(character for character in text if character not in labels.drop)
    cased = {"lower": text.lower(), "upper": text.upper()}.get(labels.case, text)
    return " ".join(cased.split())


def letters_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Every letter of the texts, in order, without the space."""
    return tuple(sorted({character for text in texts for character in text} - {" "}))


def check_letters(texts: Iterable[str], vocabulary: Iterable[str], where: str) -> None:
    """Raises `CallerError` that lists what cannot be written, with how often it comes, and the two ways out."""
    known = {*vocabulary, " "}
    strange = Counter(character for text in texts for character in text if character not in known)
    if not strange:
        return
    listed = ", ".join(f"{character!r} ({count})" for character, count in strange.most_common(20))
    raise CallerError(
        f"the labels have {len(strange)} letters that {where} does not have: {listed}; "
        "wanted rules for them in labels.replace or labels.drop, or another labels.case"
    )


def sounds(paths: Iterable[str]) -> tuple[np.ndarray, ...]:
    """Noises or room responses: each file's samples ``(n,)``. Raises `ConfigError` where there is none."""
    from asr.transcripts.recording import blocks

    found: list[np.ndarray] = []
    for path in paths:
        name_and_files = audio_set(Path(path))
        if name_and_files:
            found += [np.concatenate(list(blocks(file))) for file in name_and_files[1]]
    return tuple(found)
