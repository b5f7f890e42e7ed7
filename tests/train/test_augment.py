"""Augmentation: speed, and its growth over the training."""

import numpy as np
import pytest

from tests.speech import RATE_HZ
from tests.train.learned import examples
from train.augment import Augmenter, faster
from train.config import AugmentSettings


def test_speed_moves_pitch_and_length() -> None:
    """A tone of 400 Hz played 1.25 times as fast is one of 500 Hz, and shorter."""
    tone = np.sin(2 * np.pi * 400 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    fast = faster(tone, 1.25)
    assert len(fast) == RATE_HZ / 1.25
    assert np.abs(np.fft.rfft(fast)).argmax() * RATE_HZ / len(fast) == pytest.approx(500)


def test_augmentation_grows_over_its_ramp() -> None:
    """From single clean examples at the start to the settings' values at the end of the ramp."""
    augmenter = Augmenter(AugmentSettings(ramp=0.5, join=5, speed=(0.8, 1.2), gain_db=(-10.0, 10.0), noise_share=0.6))
    start, half, end = (augmenter.at(progress).settings for progress in (0.0, 0.25, 0.9))
    assert (start.join, start.speed, start.noise_share) == (1, (1.0, 1.0), 0.0)
    assert (half.join, half.speed, half.noise_share) == (3, pytest.approx((0.9, 1.1)), pytest.approx(0.3))
    assert end == augmenter.settings
    (batch,) = augmenter.epoch(examples(), 100.0, np.random.default_rng(0))
    assert sorted(word for e in batch for word in e.text.split()) == sorted(
        " ".join(e.text for e in examples()).split()
    )
