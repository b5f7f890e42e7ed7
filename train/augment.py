"""Makes the examples of an epoch: joined, faster or slower, in rooms, in noise. Pure functions of a generator."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from eval.data.conditions import Chain
from eval.data.effects import add_noise, cut_noise, gain, reverberate
from train.config import AugmentSettings
from train.data import Example

Batch = list[Example]
_GRAIN = 64
"""Lengths are multiples of this, because an FFT of a prime length costs seven times as much."""
_COLOUR_HZ = np.array([60.0, 150.0, 300.0, 600.0, 1000.0, 1600.0, 2500.0, 4000.0, 7000.0])
"""Frequencies of the random gains of `coloured`."""


@dataclass(frozen=True, slots=True)
class Augmenter:
    """Augments examples by the settings. ``noises`` and ``rooms`` hold samples ``(n,)`` each, ``chains`` conditions."""

    settings: AugmentSettings
    noises: tuple[np.ndarray, ...] = ()
    rooms: tuple[np.ndarray, ...] = ()
    chains: tuple[Chain, ...] = ()

    def epoch(self, examples: Sequence[Example], batch_s: float, rng: np.random.Generator) -> list[Batch]:
        """All examples once, joined and augmented, in batches of about `batch_s`, in random order."""
        augmented = [self._altered(joined, rng) for joined in self._joined(examples, rng)]
        return _batches(augmented, batch_s, rng)

    def at(self, progress: float) -> "Augmenter":
        """The augmenter at this progress of the training, from 0 to 1 (see `AugmentSettings.ramp`)."""
        s = self.settings
        share = 1.0 if s.ramp <= 0 else min(1.0, progress / s.ramp)
        ramped = replace(
            s,
            join=1 + round(share * (s.join - 1)),
            speed=tuple(1 + share * (speed - 1) for speed in s.speed),
            gain_db=tuple(share * gain_db for gain_db in s.gain_db),
            colour_db=share * s.colour_db,
            noise_share=share * s.noise_share,
            room_share=share * s.room_share,
            condition_share=share * s.condition_share,
        )
        return replace(self, settings=ramped)

    def _joined(self, examples: Sequence[Example], rng: np.random.Generator) -> Iterator[Example]:
        by_speaker: dict[str, list[Example]] = defaultdict(list)
        for i in rng.permutation(len(examples)):
            by_speaker[examples[i].speaker].append(examples[i])
        for waiting in by_speaker.values():
            while waiting:
                count = int(rng.integers(1, self.settings.join + 1))
                yield self._join(waiting[:count], rng)
                del waiting[:count]

    def _join(self, parts: Sequence[Example], rng: np.random.Generator) -> Example:
        """The recordings one after the other, each at its own random speed, with silence around them."""
        pieces = [_silence(self.settings.edge_s, rng)]
        for part in parts:
            pieces += [faster(part.samples, _uniform(self.settings.speed, rng)), _silence(self.settings.gap_s, rng)]
        pieces[-1] = _silence(self.settings.edge_s, rng)
        return replace(parts[0], samples=np.concatenate(pieces), text=" ".join(part.text for part in parts))

    def _altered(self, example: Example, rng: np.random.Generator) -> Example:
        s, samples = self.settings, coloured(example.samples, self.settings.colour_db, rng)
        if self.rooms and rng.random() < s.room_share:
            samples = reverberate(samples, self.rooms[int(rng.integers(len(self.rooms)))])
        if self.noises and rng.random() < s.noise_share:
            noise = self.noises[int(rng.integers(len(self.noises)))]
            samples = add_noise(samples, cut_noise(noise, len(samples), rng), _uniform(s.snr_db, rng))
        if self.chains and rng.random() < s.condition_share:
            for condition in self.chains[int(rng.integers(len(self.chains)))]:
                samples = condition.apply(samples, rng)
        samples = gain(samples, _uniform(s.gain_db, rng))
        return replace(example, samples=np.asarray(samples, np.float32))


def faster(samples: np.ndarray, speed: float) -> np.ndarray:
    """Samples ``(n,)`` played about `speed` times as fast -> ``(n / speed,)``; pitch and formants shift too."""
    padded = -(-len(samples) // _GRAIN) * _GRAIN
    length = max(1, round(padded / speed / _GRAIN)) * _GRAIN
    if length == padded:
        return samples
    spectrum = np.fft.rfft(samples, padded)
    resampled = np.fft.irfft(spectrum[: length // 2 + 1], length) * (length / padded)
    return np.asarray(resampled[: max(1, round(len(samples) * length / padded))], np.float32)


def coloured(samples: np.ndarray, most_db: float, rng: np.random.Generator) -> np.ndarray:
    """Samples ``(n,)`` filtered by a smooth random frequency response, like that of another microphone."""
    if not most_db:
        return samples
    gains_db = rng.uniform(-most_db, most_db, len(_COLOUR_HZ))
    length = 1 << (len(samples) - 1).bit_length()
    hz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    response = 10 ** (np.interp(np.log(hz + 1), np.log(_COLOUR_HZ), gains_db) / 20)
    filtered = np.fft.irfft(np.fft.rfft(samples, length) * response, length)[: len(samples)]
    return np.asarray(filtered, np.float32)


def _silence(span_s: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    return np.zeros(round(_uniform(span_s, rng) * SAMPLE_RATE_HZ), np.float32)


def _uniform(span: tuple[float, ...], rng: np.random.Generator) -> float:
    return float(rng.uniform(span[0], span[1]))


def _batches(examples: Sequence[Example], batch_s: float, rng: np.random.Generator) -> list[Batch]:
    """Batches of examples of similar length, so that there is little padding."""
    batches: list[Batch] = [[]]
    for example in sorted(examples, key=lambda e: len(e.samples)):
        if batches[-1] and (len(batches[-1]) + 1) * len(example.samples) > batch_s * SAMPLE_RATE_HZ:
            batches.append([])
        batches[-1].append(example)
    return [batches[i] for i in rng.permutation(len(batches))]
