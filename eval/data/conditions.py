"""Conditions that change a recording: noise, a room, a telephone line, a codec, a gain; seeded.

The choice of noise, of its part and of the room depends only on the seed and the utterance. It is the same for every
model and level, so scores under two conditions can be compared utterance by utterance.
"""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.audio.files import read_blocks
from eval.data.effects import CODECS, add_noise, coded, cut_noise, gain, reverberate, telephone
from eval.trace import Attributes


@dataclass(frozen=True, slots=True)
class Noise:
    """Adds noise from one of the files. The file and its part depend on the utterance, not on ``snr_db``."""

    name: str
    files: tuple[Path, ...]
    snr_db: float

    def apply(self, samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        noise = _samples(_chosen(self.files, generator))
        return add_noise(samples, cut_noise(noise, len(samples), generator), self.snr_db)

    def __str__(self) -> str:
        return f"{self.name}@{self.snr_db:g}dB"

    @property
    def attributes(self) -> Attributes:
        return (("noise", self.name), ("snr_db", f"{self.snr_db:g}"))


@dataclass(frozen=True, slots=True)
class Room:
    """Convolves with the impulse response of one of the files."""

    name: str
    files: tuple[Path, ...]

    def apply(self, samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return reverberate(samples, _samples(_chosen(self.files, generator)))

    def __str__(self) -> str:
        return "reverb"

    @property
    def attributes(self) -> Attributes:
        return (("room", self.name),)


@dataclass(frozen=True, slots=True)
class Line:
    """A telephone line, or a codec at ``kbit_s`` (None means its usual rate)."""

    name: str
    kbit_s: float | None = None
    files: tuple[Path, ...] = ()

    def apply(self, samples: np.ndarray, _generator: np.random.Generator) -> np.ndarray:
        return telephone(samples) if self.name == "telephone" else coded(samples, CODECS[self.name], self.kbit_s)

    def __str__(self) -> str:
        return self.name if self.kbit_s is None else f"{self.name}{self.kbit_s:g}k"

    @property
    def attributes(self) -> Attributes:
        return (("line", str(self)),)


@dataclass(frozen=True, slots=True)
class Gain:
    """Multiplies the amplitude; clips at full scale."""

    gain_db: float
    files: tuple[Path, ...] = ()

    def apply(self, samples: np.ndarray, _generator: np.random.Generator) -> np.ndarray:
        return gain(samples, self.gain_db)

    def __str__(self) -> str:
        return f"gain{self.gain_db:+g}dB"

    @property
    def attributes(self) -> Attributes:
        return (("gain_db", f"{self.gain_db:+g}"),)


Condition = Noise | Room | Line | Gain
Chain = tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Overlay:
    """The conditions applied to an utterance, in order, and the seed of their random choices."""

    chain: Chain
    seed: int = 0

    def apply(self, samples: np.ndarray, utterance: str) -> np.ndarray:
        """Samples ``(n,)`` -> ``(n,)``. The same utterance id always gives the same result."""
        for condition in self.chain:
            # the class name is part of the seed: renaming Noise or Room would change every noisy score
            key = f"{self.seed} {utterance} {type(condition).__name__}"
            generator = np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))
            samples = condition.apply(samples, generator)
        return samples

    def __str__(self) -> str:
        return "+".join(map(str, self.chain))

    def digest(self) -> str:
        """Hash of everything that can change the samples: seed, conditions, and the bytes of their files."""
        whole = hashlib.sha256(f"{self.seed} {self}".encode())
        for file in (file for condition in self.chain for file in condition.files):
            whole.update(hashlib.sha256(file.read_bytes()).digest())
        return whole.hexdigest()


def _chosen(files: Sequence[Path], generator: np.random.Generator) -> Path:
    return files[int(generator.integers(len(files)))]


@functools.lru_cache(maxsize=64)
def _samples(file: Path) -> np.ndarray:
    """The file's samples ``(n,)``, cached: few noises and rooms serve all utterances. Raises `AudioError`."""
    samples = np.concatenate(list(read_blocks(file)))
    samples.setflags(write=False)
    return samples
