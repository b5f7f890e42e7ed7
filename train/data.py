"""Reads recordings for training, splits them by speaker and turns their texts into labels."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from asr.errors import AudioError, CallerError, ConfigError
from eval.data.apply_conditions import AudioSet, audio_set, parse_chains
from eval.data.conditions import Chain
from eval.data.dataset import data_sha256, load_dataset, read
from eval.data.types import Utterance
from train.config import AugmentSettings, DataSettings, LabelSettings
from train.consents import consents_of


@dataclass(frozen=True, slots=True)
class TeacherStates:
    """A teacher's states ``(frames, layers, width)``, one frame per 20 ms, of a recording of ``samples`` samples."""

    states: torch.Tensor
    samples: int


@dataclass(frozen=True, slots=True)
class Example:
    """Mono float32 samples ``(n,)`` at 16 kHz and their label.

    ``teacher``: for kind = distil, the teacher's states of the original, unaugmented recording.
    """

    samples: np.ndarray
    text: str
    speaker: str
    teacher: TeacherStates | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """The examples for training and evaluation, and the hash of their utterances."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    sha256: str
    consents: frozenset[str] = frozenset()
    """Those of people whose speech is in it, see `train.consents`."""


def load_split(settings: DataSettings, labels: LabelSettings, seed: int) -> Split:
    """Reads all recordings into memory. Raises `ConfigError` for an empty part or an unknown speaker."""
    utterances = [u for path in settings.train for u in load_dataset(Path(path)).utterances if u.text.strip()]
    speakers = {utterance.speaker for utterance in utterances}
    for speaker in (*settings.left_out_speakers, *settings.dev_speakers):
        if speaker not in speakers:
            names = ", ".join(sorted(speakers)) or "none"
            raise ConfigError(f"no recording is by speaker {speaker!r}; the speakers are {names}")
    usable = [u for u in utterances if u.speaker not in settings.left_out_speakers]
    usable = [u for u in usable if u.duration_s <= settings.longest_s and _has_only(u, settings.words)]
    usable = usable[: settings.limit or None]
    train, dev = _divided(usable, settings, seed)
    if not train or not dev:
        raise ConfigError(f"found {len(train)} training and {len(dev)} dev recordings, wanted some of both")
    consents = frozenset(consents_of([*train, *dev]))
    return Split(_examples(train, labels), _examples(dev, labels), data_sha256([*train, *dev]), consents)


def _has_only(utterance: Utterance, words: Sequence[str]) -> bool:
    return not words or {*utterance.text.casefold().split()} <= {*words}


def _divided(
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
    examples = []
    for utterance in utterances:
        try:
            samples = read(utterance).samples
        except AudioError:
            continue
        examples.append(Example(samples, label_of(utterance.text, labels), utterance.speaker))
    return tuple(examples)


def label_of(text: str, labels: LabelSettings) -> str:
    """The label of a text. The case `auto` must be resolved before (`train.command`)."""
    for rule in labels.replace:
        old, new = rule.split("=", 1)
        text = text.replace(old, new)
    text = "".join(character for character in text if character not in labels.drop)
    cased = {"lower": text.lower(), "upper": text.upper()}.get(labels.case, text)
    return " ".join(cased.split())


def letters_of(texts: Iterable[str]) -> tuple[str, ...]:
    """All letters of the texts, sorted, without the space."""
    return tuple(sorted({character for text in texts for character in text} - {" "}))


def check_letters(texts: Iterable[str], vocabulary: Iterable[str], where: str) -> None:
    """Raises `CallerError` that lists letters outside the vocabulary with their counts, and says how to fix it."""
    allowed = {*vocabulary, " "}
    unknown = Counter(character for text in texts for character in text if character not in allowed)
    if not unknown:
        return
    listed = ", ".join(f"{character!r} ({count})" for character, count in unknown.most_common(20))
    raise CallerError(
        f"the labels have {len(unknown)} letters that {where} does not have: {listed}; "
        "wanted rules for them in labels.replace or labels.drop, or another labels.case"
    )


def sounds(paths: Iterable[str]) -> tuple[np.ndarray, ...]:
    """The samples ``(n,)`` of each noise or room response. Raises `ConfigError` if a path has no recordings."""
    from asr.transcripts.recording import blocks

    samples: list[np.ndarray] = []
    for path in paths:
        name_and_files = audio_set(Path(path))
        if name_and_files:
            samples += [np.concatenate(list(blocks(file))) for file in name_and_files[1]]
    return tuple(samples)


def chains(settings: AugmentSettings) -> tuple[Chain, ...]:
    """The conditions of the augmentation. Raises `ConfigError` for an unknown one, and for one without its sounds."""

    def joined(name: str, paths: Iterable[str]) -> AudioSet | None:
        files = tuple(file for path in paths for file in (audio_set(Path(path)) or ("", ()))[1])
        return (name, files) if files else None

    return parse_chains(settings.conditions, joined("noise", settings.noise), joined("rooms", settings.rooms))
