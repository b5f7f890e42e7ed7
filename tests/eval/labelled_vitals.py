"""Made-up labelled vitals with a known rate of errors: what is unreal is that one hidden number moves them all."""

import numpy as np

from asr.vitals import INDEX, NAMES
from eval.estimate import Labelled

CONDITIONS = ("", "noise:10", "telephone+mulaw")


def labelled(count: int, seed: int, speakers: int = 40, condition: int = 0, shift: float = 0.0) -> Labelled:
    """Utterances of a condition; ``shift`` makes them harder, which the model's confidence shows."""
    rng = np.random.default_rng(seed)
    speaker = rng.integers(0, speakers, count)
    hard = rng.normal(shift, 1.0, count) + rng.normal(0, 0.3, speakers)[speaker]
    recognised = np.clip(np.round(9 * np.exp(rng.normal(0, 0.5, count))), 1, 40)
    errors = np.minimum(rng.poisson(recognised * 0.12 * np.exp(0.7 * hard)), recognised)
    numbers = rng.normal(0, 1, (count, len(NAMES)))
    numbers[:, INDEX["confidence"]] = 1 / (1 + np.exp(hard - 1.5 + rng.normal(0, 0.4, count)))
    numbers[:, INDEX["unsure_share"]] = np.clip(0.1 * np.exp(0.5 * hard + rng.normal(0, 0.3, count)), 0, 1)
    numbers[:, INDEX["speech_share"]] = 0.7
    numbers[:, INDEX["snr_db"]] = 30 - 10 * (condition == 1) + rng.normal(0, 2, count)
    numbers[:, INDEX["rolloff_khz"]] = 7 - 3.5 * (condition == 2) + rng.normal(0, 0.3, count)
    numbers[rng.random(count) < 0.1, INDEX["compression"]] = np.nan
    place = np.full(count, condition)
    return Labelled(
        numbers.astype(np.float32), recognised, recognised.astype(float), errors.astype(float), speaker, place
    )


def joined(*parts: Labelled) -> Labelled:
    """All rows of several."""
    names = ("numbers", "recognised", "words", "errors", "speaker", "condition")
    return Labelled(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def world(seed: int = 0, count: int = 300) -> Labelled:
    """`CONDITIONS`, the second harder than the first and the third in between."""
    shifts = (0.0, 0.8, 0.4)
    return joined(*(labelled(count, seed + 10 * i, condition=i, shift=shift) for i, shift in enumerate(shifts)))
