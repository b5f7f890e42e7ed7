"""A small CTC model trained on two clips until it reproduces them: trained weights in seconds, for the tests."""

from dataclasses import replace
from pathlib import Path

import torch

from eval.progress import Bar
from tests.speech import clip
from train.augment import Augmenter
from train.config import AugmentSettings, DataSettings, LoopSettings, ModelSettings, TrainSettings
from train.ctc_task import ctc_task
from train.data import Example, Split, letters_of
from train.loop import Training

TINY = ModelSettings(
    filters="mel",
    conv_dim=(64, 64),
    conv_kernel=(400, 3),
    conv_stride=(160, 2),
    hidden_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=128,
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=4,
    dropout=0.0,
)
PLAIN = AugmentSettings(mask_time_prob=0.0)
SETTINGS = TrainSettings(
    name="tiny",
    data=DataSettings(train=()),
    model=TINY,
    augment=PLAIN,
    loop=LoopSettings(epochs=120, batch_s=4.0, learning_rate=3e-3, seed=3, dev_every=10),
)
TEXTS = {"hello_world": "hello world", "quick_brown_fox": "the quick brown fox jumps over the lazy dog"}


def examples() -> tuple[Example, ...]:
    """Two clips of one voice."""
    return tuple(Example(clip(name), text, "a") for name, text in TEXTS.items())


def training(folder: Path, settings: TrainSettings = SETTINGS) -> Training:
    """A training on the two clips, which also form its dev set."""
    torch.manual_seed(settings.loop.seed)
    some = examples()
    task = ctc_task(settings.model, settings.augment, letters_of(e.text for e in some), torch.device("cpu"))
    return Training(settings, task, Split(some, some, "data"), Augmenter(settings.augment), folder)


IN_STREAMS = replace(
    SETTINGS,
    augment=replace(PLAIN, ramp=0.6, join=2, gap_s=(0.1, 0.6), edge_s=(0.0, 0.6)),
    loop=replace(SETTINGS.loop, epochs=280, dev_every=70),
)
"""Single clips first, then joined ones with silence around them, as in a stream."""


def learned_model(folder: Path, bar: Bar) -> None:
    """Trains the model into the folder: about fifteen seconds on one core."""
    training(folder, IN_STREAMS).run(bar)
