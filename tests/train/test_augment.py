"""Augmentation: speed, and its growth over the training."""

import numpy as np
import pytest

from asr.errors import ConfigError
from tests.speech import RATE_HZ
from tests.train.learned import examples
from train.augment import Augmenter, faster
from train.config import AugmentSettings
from train.data import Example, chains


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


def test_a_share_of_the_examples_gets_a_condition() -> None:
    """A telephone line leaves nothing above 4 kHz, in about the share of the examples that is asked for."""
    settings = AugmentSettings(conditions="telephone", condition_share=0.5)
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    augmenter = Augmenter(settings, chains=chains(settings))
    batches = augmenter.epoch([Example(noise, "", "a")] * 40, 20.0, np.random.default_rng(1))
    high = [float(np.abs(np.fft.rfft(e.samples)[4200:]).mean()) for batch in batches for e in batch]
    assert 10 <= sum(level < 0.1 * max(high) for level in high) <= 30
    with pytest.raises(ConfigError, match="found the condition noise without recordings"):
        chains(AugmentSettings(conditions="noise:10"))
