"""Parses the command line's conditions and derives a data set for each chain of conditions."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from asr.audio.kinds import is_recording
from asr.errors import ConfigError
from eval.data.conditions import Chain, Condition, Gain, Line, Noise, Overlay, Room
from eval.data.dataset import load_dataset
from eval.data.effects import CODECS
from eval.data.manifests import MANIFEST
from eval.data.types import Dataset, Utterance
from eval.defaults import SNR_DB

AudioSet = tuple[str, tuple[Path, ...]]
"""A set of noises or room impulse responses: its name and its files."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The command line's options; ``snr_db`` and ``chains`` are separated by commas."""

    noise: Path | None = None
    snr_db: str | None = None
    rirs: Path | None = None
    chains: str = ""
    seed: int = 0
    clean: bool = True

    def plain(self) -> dict[str, Any]:
        """The options as JSON values."""
        files = {"noise": self.noise and str(self.noise), "rirs": self.rirs and str(self.rirs)}
        return asdict(self) | files

    def overlays(self) -> tuple[Overlay, ...]:
        """One overlay per chain. Without `chains`, noise and rooms are each a chain of their own.

        Raises `ConfigError` for an unknown condition, and for one that lacks its recordings.
        """
        noise, rooms = audio_set(self.noise), audio_set(self.rirs)
        texts = [self.chains] if self.chains else []
        if self.snr_db or (noise and not self.chains):
            texts += [f"noise:{level}" for level in (self.snr_db or SNR_DB).split(",")]
        if rooms and not self.chains:
            texts.append("reverb")
        return tuple(Overlay(chain, self.seed) for chain in parse_chains(",".join(texts), noise, rooms))


def apply_conditions(datasets: Sequence[Dataset], conditions: Conditions) -> tuple[Dataset, ...]:
    """Each data set unchanged (if `conditions.clean`), then under each overlay.

    Raises `ConfigError` if there is neither, and what `Conditions.overlays` raises.
    """
    overlays = conditions.overlays()
    if not overlays and not conditions.clean:
        raise ConfigError("found neither clean recordings nor a condition to run, wanted one of them")
    changed = [[with_overlay(dataset, overlay) for overlay in overlays] for dataset in datasets]
    return tuple(
        one
        for dataset, others in zip(datasets, changed, strict=True)
        for one in ([dataset] if conditions.clean else []) + others
    )


def with_overlay(dataset: Dataset, overlay: Overlay) -> Dataset:
    """The data set under these conditions, without its problems: the clean set reports them once."""
    name = f"{dataset.name}+{overlay}"
    added = dict(pair for condition in overlay.chain for pair in condition.attributes)

    def changed(utterance: Utterance) -> Utterance:
        attributes = tuple(sorted((dict(utterance.attributes) | added).items()))
        return replace(utterance, dataset=name, attributes=attributes, overlay=overlay)

    return Dataset(name, tuple(map(changed, dataset.utterances)))


def audio_set(path: Path | None) -> AudioSet | None:
    """The audio files of a data set, of a folder, or one file; a leading "noise-" of the name is dropped.

    Raises `ConfigError` if there is none.
    """
    if path is None:
        return None
    folder = path.parent if path.name == MANIFEST else path
    name = path.stem if is_recording(path) else folder.resolve().name
    files = _files(path)
    if not files:
        raise ConfigError(f"found no recording in {path}, wanted a set of noises or of rooms")
    return name.removeprefix("noise-"), files


def _files(path: Path) -> tuple[Path, ...]:
    if is_recording(path):
        return (path,)
    listed = tuple(clip.audio for utterance in load_dataset(path).utterances for clip in utterance.clips)
    if listed or not path.is_dir():
        return listed
    return tuple(sorted(file for file in path.iterdir() if is_recording(file)))


def parse_chains(text: str, noise: AudioSet | None, rooms: AudioSet | None) -> tuple[Chain, ...]:
    """Chains separated by commas, their conditions by "+": `telephone+mulaw,opus:16,noise:10+gain:-20,reverb`.

    `noise:SNR` uses the files of ``noise``, `reverb` those of ``rooms``. Raises `ConfigError`.
    """
    chains = [chain.strip() for chain in text.split(",") if chain.strip()]
    return tuple(tuple(_condition(part.strip(), noise, rooms) for part in chain.split("+")) for chain in chains)


def _condition(text: str, noise: AudioSet | None, rooms: AudioSet | None) -> Condition:
    name, _, argument = text.partition(":")
    if name == "noise":
        return Noise(*_required(noise, "noise", "--noise"), _number(argument, text, "noise:10 (dB)"))
    if name == "reverb" and not argument:
        return Room(*_required(rooms, "reverb", "--rirs"))
    if name == "gain":
        return Gain(_number(argument, text, "gain:-20 (dB)"))
    if name in CODECS and argument:
        return Line(name, _number(argument, text, f"{name}:16 (kbit/s)"))
    if name in ("telephone", *CODECS) and not argument:
        return Line(name)
    known = ", ".join(("noise:SNR", "reverb", "telephone", "gain:DB", *CODECS))
    raise ConfigError(f"found the condition {text!r}, wanted one of {known}")


def _required(files: AudioSet | None, name: str, option: str) -> AudioSet:
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
