"""Examples anew in each epoch: joined, played faster or slower, in rooms, in noise. Pure functions of a generator."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from eval.data.effects import add_noise, cut_noise, gain, reverberate
from train.config import AugmentSettings
from train.data import Example

Batch = list[Example]
_GRAIN = 64
_COLOUR_HZ = np.array([60.0, 150.0, 300.0, 600.0, 1000.0, 1600.0, 2500.0, 4000.0, 7000.0])


@dataclass(frozen=True, slots=True)
class Augmenter:
    """``noises`` and ``rooms`` are samples ``(n,)`` each."""

    settings: AugmentSettings
    noises: tuple[np.ndarray, ...] = ()
    rooms: tuple[np.ndarray, ...] = ()

    def epoch(self, examples: Sequence[Example], batch_s: float, rng: np.random.Generator) -> list[Batch]:
        """All examples once, joined and altered, in batches of about `batch_s`, in random order."""
        made = [self._altered(joined, rng) for joined in self._joined(examples, rng)]
        return _batches(made, batch_s, rng)

    def at(self, progress: float) -> "Augmenter":
        """The augmenter for a moment of the training, from 0 to 1."""
        s = self.settings
        share = 1.0 if s.ramp <= 0 else min(1.0, progress / s.ramp)
        softer = replace(
            s,
            join=1 + round(share * (s.join - 1)),
            speed=tuple(1 + share * (speed - 1) for speed in s.speed),
            gain_db=tuple(share * gain_db for gain_db in s.gain_db),
            colour_db=share * s.colour_db,
            noise_share=share * s.noise_share,
            room_share=share * s.room_share,
        )
        return replace(self, settings=softer)

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
        """One after the other with silence around them, each at a speed of its own."""
        pieces = [_silence(self.settings.edge_s, rng)]
        for part in parts:
            pieces += [faster(part.samples, _drawn(self.settings.speed, rng)), _silence(self.settings.gap_s, rng)]
        pieces[-1] = _silence(self.settings.edge_s, rng)
        return replace(parts[0], samples=np.concatenate(pieces), text=" ".join(part.text for part in parts))

    def _altered(self, example: Example, rng: np.random.Generator) -> Example:
        s, samples = self.settings, coloured(example.samples, self.settings.colour_db, rng)
        if self.rooms and rng.random() < s.room_share:
            samples = reverberate(samples, self.rooms[int(rng.integers(len(self.rooms)))])
        if self.noises and rng.random() < s.noise_share:
            noise = self.noises[int(rng.integers(len(self.noises)))]
            samples = add_noise(samples, cut_noise(noise, len(samples), rng), _drawn(s.snr_db, rng))
        samples = gain(samples, _drawn(s.gain_db, rng))
        return replace(example, samples=np.asarray(samples, np.float32))


def faster(samples: np.ndarray, speed: float) -> np.ndarray:
    """Samples ``(n,)`` played about `speed` times as fast, as a tape is, pitch and formants with it: ``(n / speed,)``.

    Lengths are filled up to multiples of `_GRAIN`: a transform of a length that is a prime costs seven times as much.
    """
    filled = -(-len(samples) // _GRAIN) * _GRAIN
    length = max(1, round(filled / speed / _GRAIN)) * _GRAIN
    if length == filled:
        return samples
    spectrum = np.fft.rfft(samples, filled)
    resampled = np.fft.irfft(spectrum[: length // 2 + 1], length) * (length / filled)
    return np.asarray(resampled[: max(1, round(len(samples) * length / filled))], np.float32)


def coloured(samples: np.ndarray, most_db: float, rng: np.random.Generator) -> np.ndarray:
    """Samples ``(n,)`` through a smooth random frequency response, as another microphone would have it."""
    if not most_db:
        return samples
    gains_db = rng.uniform(-most_db, most_db, len(_COLOUR_HZ))
    length = 1 << (len(samples) - 1).bit_length()
    hz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    response = 10 ** (np.interp(np.log(hz + 1), np.log(_COLOUR_HZ), gains_db) / 20)
    heard = np.fft.irfft(np.fft.rfft(samples, length) * response, length)[: len(samples)]
    return np.asarray(heard, np.float32)


def _silence(span_s: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    return np.zeros(round(_drawn(span_s, rng) * SAMPLE_RATE_HZ), np.float32)


def _drawn(span: tuple[float, ...], rng: np.random.Generator) -> float:
    return float(rng.uniform(span[0], span[1]))


def _batches(examples: Sequence[Example], batch_s: float, rng: np.random.Generator) -> list[Batch]:
    """Examples of like length together, so that little is padding."""
    batches: list[Batch] = [[]]
    for example in sorted(examples, key=lambda e: len(e.samples)):
        if batches[-1] and (len(batches[-1]) + 1) * len(example.samples) > batch_s * SAMPLE_RATE_HZ:
            batches.append([])
        batches[-1].append(example)
    return [batches[i] for i in rng.permutation(len(batches))]
