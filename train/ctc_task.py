"""Trains CTC models of Transformers (wav2vec 2.0, HuBERT, WavLM) from a pretrained or a random start."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.errors import CallerError, ModelError
from asr.model_files.trained import trained_folder
from asr.released import find_release
from eval.metrics.word_errors import Counts, count_words, total
from train.config import AugmentSettings, LabelSettings, ModelSettings
from train.data import Example, check_letters
from train.filters import mel_filters
from train.task import freeze

FIRST = "feature_extractor.conv_layers.0.conv.weight"
PAD, UNKNOWN, DELIMITER = "<pad>", "<unk>", "|"
SETTINGS_FILES = ("vocab.json", "tokenizer_config.json", "preprocessor_config.json", "special_tokens_map.json")


class CtcTask:
    """`train.task.TrainingTask` for a CTC model. ``vocabulary``: letter -> index of the output."""

    measure = "WER"

    def __init__(
        self,
        model: torch.nn.Module,
        vocabulary: dict[str, int],
        device: torch.device,
        normalise: bool,
        settings_from: Path | None = None,
    ) -> None:
        self.model = model.to(device)
        self._vocabulary, self._device, self._normalise = vocabulary, device, normalise
        self._letters = {index: letter for letter, index in vocabulary.items()}
        self._settings_from = settings_from
        config: Any = model.config
        self._blank = int(config.pad_token_id)

    @property
    def letters(self) -> tuple[str, ...]:
        """The letters of the vocabulary, without the space."""
        return tuple(letter for letter in self._vocabulary if letter not in (PAD, UNKNOWN, DELIMITER))

    def loss(self, batch: Sequence[Example]) -> torch.Tensor:
        """The mean CTC loss per letter (Graves et al. 2006)."""
        values, mask = self._padded(batch)
        rows = [torch.tensor([self._vocabulary[c] for c in e.text.replace(" ", DELIMITER)]) for e in batch]
        labels = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100).to(self._device)
        loss: torch.Tensor = self.model(values, attention_mask=mask, labels=labels).loss
        return loss

    def errors(self, batch: Sequence[Example]) -> Counts:
        """Word errors of the greedily decoded texts."""
        values, mask = self._padded(batch)
        best = self.model(values, attention_mask=mask).logits.argmax(-1)
        frames = self.model._get_feat_extract_output_lengths(mask.sum(-1))  # type: ignore[operator]
        texts = [self._text(row[:count].tolist()) for row, count in zip(best, frames.tolist(), strict=True)]
        return total(count_words(example.text, text) for example, text in zip(batch, texts, strict=True))

    def save(self, folder: Path) -> None:
        """Writes weights, settings, vocabulary and preprocessor; overwrites existing files."""
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.model.save_pretrained(folder)  # type: ignore[operator]
        for name in SETTINGS_FILES:
            if self._settings_from and (self._settings_from / name).is_file():
                shutil.copy(self._settings_from / name, folder / name)
        if not (folder / "vocab.json").is_file():
            _write_settings(folder, self._vocabulary, self._normalise)

    def _padded(self, batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        values, mask = padded([torch.from_numpy(self._scaled(example.samples)) for example in batch])
        return values.to(self._device), mask.to(self._device)

    def _scaled(self, samples: np.ndarray) -> np.ndarray:
        if not self._normalise:
            return samples
        scaled: np.ndarray = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        return scaled

    def _text(self, best: Sequence[int]) -> str:
        kept = [index for i, index in enumerate(best) if index != self._blank and (i == 0 or index != best[i - 1])]
        return " ".join("".join(self._letters[index] for index in kept).replace(DELIMITER, " ").split())


def ctc_task(
    settings: ModelSettings,
    augment: AugmentSettings,
    letters: Sequence[str],
    device: torch.device,
) -> CtcTask:
    """Loads or creates the model. `letters`, those of the labels, are its vocabulary if the start has none.

    Raises `ModelError` for an unusable start.
    """
    masks = masks_of(augment)
    if settings.start == "random":
        task = _random(settings, masks, letters, device)
    else:
        task = _pretrained(settings, masks, letters, device)
    freeze(task.model, settings.freeze, settings.train_only)
    return task


def masks_of(augment: AugmentSettings) -> dict[str, Any]:
    """SpecAugment's settings under Transformers' names."""
    names = ("mask_time_prob", "mask_time_length", "mask_feature_prob", "mask_feature_length")
    return {name: getattr(augment, name) for name in names}


def padded(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples ``(n,)`` each -> zero-padded values and a mask (1 = sample, 0 = padding), both ``(B, longest)``."""
    values = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    mask = torch.arange(values.shape[1])[None] < torch.tensor([len(row) for row in rows])[:, None]
    return values, mask.long()


def check_labels(task: CtcTask, examples: Sequence[Example], labels: LabelSettings, where: str) -> None:
    """Raises `CallerError` for letters outside the vocabulary, and for a recording shorter than a frame."""
    check_letters((example.text for example in examples), task.letters, where)
    shortest = 400 / SAMPLE_RATE_HZ
    for example in examples:
        if len(example.samples) / SAMPLE_RATE_HZ < shortest:
            raise CallerError(
                f"a recording of {example.text!r} is shorter than one frame, wanted at least {shortest} s"
            )


def vocabulary_of(letters: Sequence[str]) -> dict[str, int]:
    """Letter -> index: blank, unknown, space, then the letters."""
    return {letter: index for index, letter in enumerate((PAD, UNKNOWN, DELIMITER, *letters))}


def case_of(vocabulary: Sequence[str]) -> str:
    """lower or upper if all letters have that case, else keep."""
    text = "".join(letter for letter in vocabulary if len(letter) == 1)
    if text != text.lower() and text == text.upper():
        return "upper"
    return "lower" if text != text.upper() and text == text.lower() else "keep"


def start_vocabulary(start: str) -> dict[str, int] | None:
    """The vocabulary of a pretrained start; None if it has none. Raises `ModelError` if the start does not exist."""
    path = start_folder(start) / "vocab.json"
    if not path.is_file():
        return None
    table: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    return table


def _random(settings: ModelSettings, masks: dict[str, Any], letters: Sequence[str], device: torch.device) -> CtcTask:
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    vocabulary = vocabulary_of(letters)
    config = Wav2Vec2Config(
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.num_hidden_layers,
        num_attention_heads=settings.num_attention_heads,
        intermediate_size=settings.intermediate_size,
        vocab_size=len(vocabulary),
        pad_token_id=vocabulary[PAD],
        **training_config(settings, masks),
    )
    model = Wav2Vec2ForCTC(config)
    with_filters(model.get_parameter(f"wav2vec2.{FIRST}"), settings.filters)
    return CtcTask(model, vocabulary, device, normalise=False)


def training_config(settings: ModelSettings, masks: dict[str, Any]) -> dict[str, Any]:
    """The convolutions and training settings of a random network, under Transformers' names."""
    return _training(settings, masks) | {
        "conv_dim": settings.conv_dim,
        "conv_kernel": settings.conv_kernel,
        "conv_stride": settings.conv_stride,
        "conv_bias": True,
        "num_conv_pos_embeddings": settings.num_conv_pos_embeddings,
        "num_conv_pos_embedding_groups": settings.num_conv_pos_embedding_groups,
        "feat_extract_norm": "layer",  # normalised frame by frame: exact in a stream
        "do_stable_layer_norm": True,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def with_filters(weight: torch.Tensor, kind: str) -> None:
    """Initialises the first layer's weights ``(channels, 1, width)``; `kind` "random" keeps them."""
    if kind == "mel":
        weight.data.copy_(mel_filters(weight.shape[0], weight.shape[2]))


def _pretrained(
    settings: ModelSettings, masks: dict[str, Any], letters: Sequence[str], device: torch.device
) -> CtcTask:
    from transformers import AutoModelForCTC
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # no warning that the output layer is new
    start = settings.start
    folder = start_folder(start)
    vocabulary = start_vocabulary(start) or vocabulary_of(letters)
    more = _training(settings, masks)
    if not (folder / "vocab.json").is_file():
        more |= {"vocab_size": len(vocabulary), "pad_token_id": vocabulary[PAD]}
    try:
        model = AutoModelForCTC.from_pretrained(folder, ignore_mismatched_sizes=True, **more)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{start} cannot be trained further ({reason}); wanted a wav2vec2, HuBERT or WavLM model"
        ) from None
    if not hasattr(model.config, "mask_feature_min_masks"):
        model.config.mask_feature_min_masks = (
            0  # Transformers' WavLM reads this setting, but its configuration lacks it
        )
    table = folder / "preprocessor_config.json"
    normalise = bool(json.loads(table.read_text()).get("do_normalize", True)) if table.is_file() else True
    return CtcTask(model, vocabulary, device, normalise, folder)


def _training(settings: ModelSettings, masks: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that controls training, for any start."""
    return masks | {
        "hidden_dropout": settings.dropout,
        "attention_dropout": 0.0,  # dropout makes torch use attention's slow path on a CPU: a fifth of a step
        "activation_dropout": 0.0,  # on the widest rows it costs a tenth of a step; hidden_dropout regularises already
        "feat_proj_dropout": settings.dropout,
        "final_dropout": settings.dropout,
        "layerdrop": 0.0,
        "ctc_zero_infinity": True,
        "ctc_loss_reduction": "mean",
    }


def start_folder(start: str) -> Path:
    """The folder of a start's files. Raises `ModelError` if there is none."""
    from asr.models.registry import find_model

    if (release := find_release(start)) is not None:
        return release.folder
    folder = Path(start).expanduser()
    if folder.is_dir():
        return folder
    return trained_folder(start) or find_model(start)[1].folder


def _write_settings(folder: Path, vocabulary: dict[str, int], normalise: bool) -> None:
    """Writes vocabulary, tokenizer and preprocessor as Transformers does for wav2vec2."""
    tokenizer = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        "pad_token": PAD,
        "unk_token": UNKNOWN,
        "word_delimiter_token": DELIMITER,
        "bos_token": None,
        "eos_token": None,
        "do_lower_case": False,
    }
    for name, table in (("vocab.json", vocabulary), ("tokenizer_config.json", tokenizer)):
        _write(folder / name, table)
    write_preprocessor(folder, normalise)


def write_preprocessor(folder: Path, normalise: bool) -> None:
    """Writes how recordings are scaled, as Transformers' feature extractor for wav2vec2 does."""
    preprocessor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": SAMPLE_RATE_HZ,
        "padding_value": 0.0,
        "do_normalize": normalise,
        "return_attention_mask": True,
    }
    _write(folder / "preprocessor_config.json", preprocessor)


def _write(path: Path, table: dict[str, Any]) -> None:
    path.write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
