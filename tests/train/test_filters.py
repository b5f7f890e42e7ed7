"""Initial filters of a first convolution."""

import numpy as np

from tests.speech import RATE_HZ
from train.filters import PHASES, mel_filters


def test_mel_filters_measure_a_tone_whatever_its_phase() -> None:
    """The rectified four phases of a band have about the same sum for every phase of a tone."""
    filters = mel_filters(40 * PHASES, 400)[:, 0].numpy()
    sums = []
    for phase in np.linspace(0, 2 * np.pi, 9):
        tone = np.sin(2 * np.pi * 1000 * np.arange(400) / RATE_HZ + phase)
        sums.append(np.maximum(filters @ tone, 0).reshape(-1, PHASES).sum(1))
    strength = np.array(sums)
    band = strength.mean(0).argmax()
    assert strength[:, band].max() / strength[:, band].min() < 1.02 * np.sqrt(2)  # |sin| + |cos| lies in [1, sqrt 2]
    assert strength.mean(0)[[2, -2]].max() < 0.2 * strength.mean(0)[band]
