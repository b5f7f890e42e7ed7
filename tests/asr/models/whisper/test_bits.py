"""A window's hypothesis is bit-identical in every batch (real default model).

Batch jobs depend on it: after a crash the batches are different, and the files must be the same.
"""

import random
from dataclasses import replace

import numpy as np
import pytest

from asr.engine import Engine
from asr.models.base import Window
from tests.speech import RATE_HZ, silence, speech

pytestmark = pytest.mark.model

Words = list[tuple[str, float, float, float]]


@pytest.fixture(scope="module")
def engine(whisper_tiny: Engine) -> Engine:
    return whisper_tiny


def of_all_lengths() -> list[np.ndarray]:
    """Eight different windows, 1.5 to 19 s long."""
    sound = np.concatenate([speech(), silence(0.5), speech()])
    starts_s = (0.0, 0.9, 2.3, 4.1, 6.0, 8.2, 11.0, 13.7)
    return [
        sound[round(start * RATE_HZ) : round((start + 1.5 + i * 2.5) * RATE_HZ)] for i, start in enumerate(starts_s)
    ]


def words(engine: Engine, windows: list[np.ndarray]) -> list[Words]:
    return bits(engine, *map(Window, windows))


def bits(engine: Engine, *windows: Window) -> list[Words]:
    hypotheses = engine.recogniser.recognise(windows)
    return [[(p.text, p.start_s, p.end_s, p.confidence) for p in h.pieces] for h in hypotheses]


def test_a_window_alone_or_in_any_batch_gives_the_same_bits(engine: Engine) -> None:
    """Text, times and confidences are equal, not close: alone, in pairs, all together, in another order."""
    windows = of_all_lengths()
    alone = [words(engine, [window])[0] for window in windows]
    assert sum(map(len, alone)) > 50
    pairs = [hypothesis for i in range(0, len(windows), 2) for hypothesis in words(engine, windows[i : i + 2])]
    order = random.Random(3).sample(range(len(windows)), len(windows))
    shuffled = dict(zip(order, words(engine, [windows[i] for i in order]), strict=True))
    assert pairs == alone
    assert words(engine, windows) == alone
    assert [shuffled[i] for i in range(len(windows))] == alone


def test_texts_of_different_lengths_share_a_batch(engine: Engine) -> None:
    """A long draft makes its batch's rows longer than those of a window alone."""
    if engine.precision != "int8":
        pytest.skip("only int8 products give a row the same bits in every batch of rows")
    short, *_, longest = (Window(samples) for samples in of_all_lengths())
    tokens = tuple(token for piece in engine.recogniser.recognise([longest])[0].pieces for token in piece.tokens)
    for draft in (tokens, tokens * 2):
        drafted = replace(longest, draft=draft)
        assert bits(engine, short, drafted) == [*bits(engine, short), *bits(engine, drafted)]
