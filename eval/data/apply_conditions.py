"""Data sets laid under conditions, as the command line asks: each chain of conditions makes a data set of its own."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from asr.errors import ConfigError
from eval.data.conditions import Chain, Condition, Gain, Line, Noise, Overlay, Room
from eval.data.dataset import load_dataset
from eval.data.effects import CODECS
from eval.data.manifests import AUDIO_SUFFIXES, MANIFEST
from eval.data.types import Dataset, Utterance
from eval.defaults import SNR_DB

AudioSet = tuple[str, tuple[Path, ...]]
"""A set of noises or of rooms: its name and its files."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the command line asked for; ``snr_db`` and ``chains`` are comma lists."""

    noise: Path | None = None
    snr_db: str | None = None
    rirs: Path | None = None
    chains: str = ""
    seed: int = 0
    clean: bool = True

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        files = {"noise": self.noise and str(self.noise), "rirs": self.rirs and str(self.rirs)}
        return asdict(self) | files

    def overlays(self) -> tuple[Overlay, ...]:
        """One for each chain. Noise alone and rooms alone need not be named when there are no `chains`.

        Raises `ConfigError` for what cannot be understood, or needs recordings that are not there.
        """
        noise, rooms = audio_set(self.noise), audio_set(self.rirs)
        asked = [self.chains] if self.chains else []
        if self.snr_db or (noise and not self.chains):
            asked += [f"noise:{level}" for level in (self.snr_db or SNR_DB).split(",")]
        if rooms and not self.chains:
            asked.append("reverb")
        return tuple(Overlay(chain, self.seed) for chain in parse_chains(",".join(asked), noise, rooms))


def apply_conditions(datasets: Sequence[Dataset], conditions: Conditions) -> tuple[Dataset, ...]:
    """Each data set as it is, unless only the conditions are wanted, and under each of them."""
    overlays = conditions.overlays()
    if not overlays and not conditions.clean:
        raise ConfigError("found neither clean recordings nor a condition to run, wanted one of them")
    laid = [[with_overlay(dataset, overlay) for overlay in overlays] for dataset in datasets]
    return tuple(
        one
        for dataset, others in zip(datasets, laid, strict=True)
        for one in ([dataset] if conditions.clean else []) + others
    )


def with_overlay(dataset: Dataset, overlay: Overlay) -> Dataset:
    """The data set under these conditions; what could not be read of it is told once, in the clean one."""
    name = f"{dataset.name}+{overlay}"
    more = dict(pair for condition in overlay.chain for pair in condition.attributes)

    def laid(utterance: Utterance) -> Utterance:
        attributes = tuple(sorted((dict(utterance.attributes) | more).items()))
        return replace(utterance, dataset=name, attributes=attributes, overlay=overlay)

    return Dataset(name, tuple(map(laid, dataset.utterances)))


def audio_set(path: Path | None) -> AudioSet | None:
    """The recordings of a set (its name without a leading "noise-"), of a folder, or one file. Raises `ConfigError`."""
    if path is None:
        return None
    folder = path.parent if path.name == MANIFEST else path
    name = path.stem if path.suffix.lower() in AUDIO_SUFFIXES else folder.resolve().name
    files = _files(path)
    if not files:
        raise ConfigError(f"found no recording in {path}, wanted a set of noises or of rooms")
    return name.removeprefix("noise-"), files


def _files(path: Path) -> tuple[Path, ...]:
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return (path,)
    known = tuple(clip.audio for utterance in load_dataset(path).utterances for clip in utterance.clips)
    if known or not path.is_dir():
        return known
    return tuple(sorted(file for file in path.iterdir() if file.suffix.lower() in AUDIO_SUFFIXES))


def parse_chains(text: str, noise: AudioSet | None, rooms: AudioSet | None) -> tuple[Chain, ...]:
    """Chains from a comma list, the parts of each joined by "+": `telephone+mulaw,opus:16,noise:10+gain:-20,reverb`.

    ``noise`` and ``rooms`` are the name and the files that `noise:SNR` and `reverb` take. Raises `ConfigError`.
    """
    chains = [chain.strip() for chain in text.split(",") if chain.strip()]
    return tuple(tuple(_condition(part.strip(), noise, rooms) for part in chain.split("+")) for chain in chains)


def _condition(text: str, noise: AudioSet | None, rooms: AudioSet | None) -> Condition:
    name, _, argument = text.partition(":")
    if name == "noise":
        return Noise(*_given(noise, "noise", "--noise"), _number(argument, text, "noise:10 (dB)"))
    if name == "reverb" and not argument:
        return Room(*_given(rooms, "reverb", "--rirs"))
    if name == "gain":
        return Gain(_number(argument, text, "gain:-20 (dB)"))
    if name in CODECS and argument:
        return Line(name, _number(argument, text, f"{name}:16 (kbit/s)"))
    if name in ("telephone", *CODECS) and not argument:
        return Line(name)
    known = ", ".join(("noise:SNR", "reverb", "telephone", "gain:DB", *CODECS))
    raise ConfigError(f"found the condition {text!r}, wanted one of {known}")


def _given(files: AudioSet | None, name: str, option: str) -> AudioSet:
    if files is None:
        raise ConfigError(f"found the condition {name} without recordings for it, wanted {option} with a set of them")
    return files


def _number(text: str, whole: str, example: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not math.isfinite(value):
        raise ConfigError(f"found the condition {whole!r}, wanted a number as in {example}")
    return value
