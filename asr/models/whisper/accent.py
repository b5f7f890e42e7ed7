"""How much speech sounds like accented speech: one number of the encoder's states, fitted once for an encoder.

The mean of the last layer's attention values over the frames of speech is multiplied with fitted weights. They come
from speech with an accent and speech of all sorts, each as recorded and with noise, in rooms and through codecs, so
that what they find is the speech and not the line (`scripts/fit_accent.py`; docs/log/watch.md). `accents.json` has them
for each encoder by `Encoder.key`: a model whose decoder alone was trained further keeps its number, another
encoder has none.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch

from asr.models.whisper.encoder import FRAME_SAMPLES, Encoder, EncoderState

SPEECH_DB = 30.0
"""Frames this much below the loud ones are no speech."""
_LOUD = 0.95
"""Quantile of the frames' levels that is a loud one."""
_LEAST_FRAMES = 10


@dataclass(frozen=True, slots=True)
class Accent:
    """Weights ``(width,)`` and offset of a logistic regression."""

    weights: np.ndarray
    offset: float

    def log_odds(self, samples: np.ndarray, state: EncoderState) -> float | None:
        """For a window of samples ``(n,)``; None where it has hardly any frame."""
        pooled = pooled_state(samples, state)
        return None if pooled is None else float(pooled @ self.weights + self.offset)


def pooled_state(samples: np.ndarray, state: EncoderState) -> np.ndarray | None:
    """The mean ``(width,)`` of the last layer's attention values over the frames of speech; None for hardly any."""
    values = state.values[-1].transpose(0, 1).flatten(1)
    count = min(len(samples) // FRAME_SAMPLES, len(values))
    if count < _LEAST_FRAMES:
        return None
    frames = samples[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
    level_db = 10 * np.log10((frames.astype(np.float32) ** 2).sum(axis=1) + 1e-10)
    is_speech = torch.from_numpy(level_db > np.quantile(level_db, _LOUD) - SPEECH_DB).to(values.device)
    return np.asarray(values[:count][is_speech].float().mean(dim=0).cpu().numpy())


def accent_of(encoder: Encoder) -> Accent | None:
    """The fitted number of this encoder; None where there is none."""
    found = fitted().get(encoder.key)
    return Accent(np.array(found["weights"], np.float32), float(found["offset"])) if found else None


@cache
def fitted() -> dict[str, dict[str, Any]]:
    """By `Encoder.key`: ``weights``, ``offset``, the ``model``, and the ``speakers`` that it was fitted on."""
    table: dict[str, dict[str, Any]] = json.loads(files(__package__).joinpath("accents.json").read_text("utf-8"))
    return table
