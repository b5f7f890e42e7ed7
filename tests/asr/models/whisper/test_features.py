"""Log-mel frames against torchaudio's own, an independent implementation."""

import numpy as np
import pytest
import torch
import torchaudio

from asr.models.whisper.features import log_mel, log_power
from tests.speech import speech


@pytest.mark.parametrize("bands", [80, 128])
def test_log_mel_is_torchaudios(bands: int) -> None:
    """Slaney's mel scale with filters of unit area, power, log10, floored 8 below the maximum."""
    samples = speech()
    spectrogram = torchaudio.transforms.MelSpectrogram(
        16000, n_fft=400, hop_length=160, n_mels=bands, norm="slaney", mel_scale="slaney"
    )
    log = spectrogram(torch.from_numpy(samples))[:, :-1].clamp_min(1e-10).log10()
    expected = (torch.maximum(log, log.max() - 8) + 4) / 4
    np.testing.assert_allclose(log_mel(samples, bands).numpy(), expected.numpy(), atol=2e-4)


def test_silence_has_the_lowest_power() -> None:
    """Zeros are floored at 1e-10, not at minus infinity."""
    assert float(log_power(np.zeros(1600, np.float32), 80).max()) == -10.0
