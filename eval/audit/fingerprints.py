"""Finds recordings that sound the same although their samples differ: other encodings, gains, cuts.

Haitsma and Kalker 2002, "A highly robust audio fingerprinting system": every frame has 32 bits, each says whether the
energy difference of two neighbouring bands grew. Two recordings of one sound share some whole frames by chance of their
length, which an index finds, and most bits of the others.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr.config import SAMPLE_RATE_HZ

WINDOW_SAMPLES, HOP_SAMPLES = 4096, 512
"""256 ms windows, 32 ms apart: a cut between two frames shifts a window by 6 % of its length at most."""
BANDS, FROM_HZ, TO_HZ = 33, 250.0, 3400.0
"""Telephone speech has these bands too."""
QUIET_DB = 40.0
"""Frames this far below the loudest are noise, which has bits of its own in each encoding."""
MIN_FRAMES = 25
"""Two recordings must overlap by this much (0.8 s)."""
SAME_BITS = 0.75
"""Share of equal bits in the overlap. Different speech has 0.5; MP3 at 32 kbit/s 0.85 to 0.95."""
_COMMON = 64
"""A frame that more recordings have says nothing (hum, tones)."""


@dataclass(frozen=True, slots=True)
class NearCopy:
    """Two recordings by their places in the list, the overlap in seconds and the share of equal bits in it."""

    left: int
    right: int
    overlap_s: float
    same_bits: float


def fingerprint(samples: np.ndarray) -> np.ndarray:
    """The frames of samples ``(n,)``: uint32 ``(frames,)``; 0 for a quiet frame, which matches nothing."""
    if len(samples) < WINDOW_SAMPLES + HOP_SAMPLES:
        return np.zeros(0, np.uint32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES]
    hann = np.hanning(WINDOW_SAMPLES).astype(np.float32)
    edges = np.geomspace(FROM_HZ, TO_HZ, BANDS + 1) * WINDOW_SAMPLES / SAMPLE_RATE_HZ
    energies = np.empty((len(windows), BANDS))
    for start in range(0, len(windows), 256):
        power = np.square(np.abs(np.fft.rfft(windows[start : start + 256] * hann)))
        energies[start : start + 256] = np.add.reduceat(power, edges.astype(int), axis=1)[:, :BANDS]
    slopes = np.diff(energies, axis=1)
    bits = (slopes[1:] - slopes[:-1]) > 0
    frames = (bits * (np.uint32(1) << np.arange(BANDS - 1, dtype=np.uint32))).sum(axis=1).astype(np.uint32)
    loudness = energies[1:].sum(axis=1)
    return np.where(loudness > loudness.max() * 10 ** (-QUIET_DB / 10), frames, np.uint32(0))


def near_copies(fingerprints: Sequence[np.ndarray]) -> list[NearCopy]:
    """All pairs that share at least `MIN_FRAMES` of sound, in any position to each other."""
    places: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, frames in enumerate(fingerprints):
        for place in np.flatnonzero(frames).tolist():
            places[int(frames[place])].append((number, place))
    votes: dict[tuple[int, int, int], int] = defaultdict(int)
    for users in places.values():
        if 1 < len(users) <= _COMMON:
            for i, (left, at) in enumerate(users):
                for right, there in users[i + 1 :]:
                    if left != right:
                        votes[left, right, there - at] += 1
    best: dict[tuple[int, int], tuple[int, int]] = {}
    for (left, right, shift), count in votes.items():
        best[left, right] = max(best.get((left, right), (0, 0)), (count, shift))
    pairs = (_compared(left, right, shift, fingerprints) for (left, right), (_, shift) in best.items())
    return [pair for pair in pairs if pair is not None]


def _compared(left: int, right: int, shift: int, fingerprints: Sequence[np.ndarray]) -> NearCopy | None:
    """The pair with `right` moved by `shift` frames; None where the two differ or hardly overlap."""
    a, b = fingerprints[left][max(0, -shift) :], fingerprints[right][max(0, shift) :]
    length = min(len(a), len(b))
    a, b = a[:length], b[:length]
    loud = (a != 0) & (b != 0)
    if loud.sum() < MIN_FRAMES:
        return None
    wrong = np.unpackbits((a[loud] ^ b[loud]).view(np.uint8)).sum()
    same = 1 - float(wrong) / (32 * int(loud.sum()))
    return NearCopy(left, right, length * HOP_SAMPLES / SAMPLE_RATE_HZ, same) if same >= SAME_BITS else None
