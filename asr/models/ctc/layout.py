"""Which settings and files a CTC model of Transformers has: wav2vec 2.0, HuBERT, WavLM, with letters as output."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from asr.config import SAMPLE_RATE_HZ, CtcSettings, build
from asr.errors import ConfigError, ModelError
from asr.model_files.source import read_object

KINDS = ("wav2vec2", "hubert", "wavlm")
DEFAULT_DELIMITER, DEFAULT_BLANK = "|", "<pad>"
_LISTS = ("conv_dim", "conv_kernel", "conv_stride")
_NUMBERS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "vocab_size",
)


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a model wants to be searched; ``beam`` 0 says nothing."""

    beam: int = 0
    settings: CtcSettings = field(default_factory=CtcSettings)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What each output means. ``delimiter`` is "" where words are not written apart; ``case`` upper, lower or mixed.

    ``normalise``: the model was trained on audio of zero mean and unit variance.
    """

    letters: tuple[str, ...]
    blank: int
    delimiter: str
    special: frozenset[int]
    normalise: bool

    @property
    def ids(self) -> dict[str, int]:
        """What can be written and where it stands, without special tokens."""
        return {letter: i for i, letter in enumerate(self.letters) if i not in self.special and i != self.blank}

    @property
    def case(self) -> str:
        text = "".join(letter for letter in self.ids if letter != self.delimiter)
        if text == text.upper() and text != text.lower():
            return "upper"
        return "lower" if text == text.lower() and text != text.upper() else "mixed"


def is_ctc(table: Mapping[str, Any]) -> bool:
    """Whether a `config.json` is of one of the kinds known here."""
    return table.get("model_type") in KINDS


def ctc_config(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The table once it is known to be of a model that is supported. Raises `ModelError`."""
    for name in _NUMBERS:
        _number(table, name, where)
    for name in _LISTS:
        found = table.get(name)
        if not isinstance(found, list) or len(found) != len(table["conv_dim"]) or not all(map(_is_count, found)):
            raise ModelError(f"{where} has {name} = {found!r}, wanted as many whole numbers as there are convolutions")
    if table["hidden_size"] % table["num_attention_heads"]:
        raise ModelError(
            f"{where} has {table['num_attention_heads']} heads for {table['hidden_size']} numbers; no part"
        )
    for name, wanted in (("hidden_act", "gelu"), ("feat_extract_activation", "gelu")):
        if table.get(name, "gelu") != wanted:
            raise ModelError(f"{where} has {name} = {table[name]!r}, wanted {wanted!r}")
    if table.get("feat_extract_norm", "group") not in ("group", "layer"):
        raise ModelError(f"{where} has feat_extract_norm = {table['feat_extract_norm']!r}, wanted 'group' or 'layer'")
    for name in ("adapter_attn_dim", "add_adapter"):
        if table.get(name):
            raise ModelError(f"{where} has adapters ({name}), wanted a model without")
    return dict(table)


def check_ctc_tensors(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any], where: str) -> None:
    """Raises `ModelError` for the first tensor that is missing or has another shape, of those that tell the layout."""
    prefix, width = str(config["model_type"]), config["hidden_size"]
    wanted: dict[str, tuple[int, ...]] = {"lm_head.weight": (config["vocab_size"], width)}
    channels = 1
    for i, (dim, kernel) in enumerate(zip(config["conv_dim"], config["conv_kernel"], strict=True)):
        wanted[f"{prefix}.feature_extractor.conv_layers.{i}.conv.weight"] = (dim, channels, kernel)
        channels = dim
    for i in range(config["num_hidden_layers"]):
        name = f"{prefix}.encoder.layers.{i}"
        for part in "qkv":
            wanted[f"{name}.attention.{part}_proj.weight"] = (width, width)
        wanted[f"{name}.feed_forward.intermediate_dense.weight"] = (config["intermediate_size"], width)
        wanted[f"{name}.feed_forward.output_dense.weight"] = (width, config["intermediate_size"])
    for name, shape in wanted.items():
        if name not in tensors:
            hint = "; it was saved without its output layer: fine-tune it first" if name.startswith("lm_head") else ""
            raise ModelError(f"{where} has no tensor {name}, wanted a complete CTC model{hint}")
        if tuple(tensors[name].shape) != shape:
            raise ModelError(f"{where}: {name} has the shape {tuple(tensors[name].shape)}, wanted {shape}")


def read_vocabulary(vocab_json: Path, config: Mapping[str, Any], where: str) -> Vocabulary:
    """The vocabulary beside a model, checked. Raises `ModelError`."""
    folder = vocab_json.parent
    table = read_object(vocab_json)
    size = config["vocab_size"]
    if any(isinstance(value, dict) for value in table.values()):
        raise ModelError(f"{vocab_json} holds vocabularies of several languages, wanted that of one")
    if not all(isinstance(i, int) and 0 <= i < size for i in table.values()):
        raise ModelError(f"{vocab_json} has places beyond the model's {size} outputs, wanted the model's own")
    told = _optional(folder / "tokenizer_config.json") | _optional(folder / "special_tokens_map.json")
    blank_text = _token(told.get("pad_token"), DEFAULT_BLANK)
    if blank_text not in table:
        raise ModelError(f"{vocab_json} has no blank ({blank_text}), wanted a CTC model's vocabulary")
    letters = [""] * size
    for text, i in table.items():
        letters[i] = str(text)
    delimiter = _token(told.get("word_delimiter_token"), DEFAULT_DELIMITER)
    special = {i for text, i in table.items() if text.startswith("<") and text.endswith(">")}
    special |= {table[t] for k in ("unk_token", "bos_token", "eos_token") if (t := _token(told.get(k), "")) in table}
    special |= {i for i, text in enumerate(letters) if not text}
    return Vocabulary(
        letters=tuple(letters),
        blank=int(table[blank_text]),
        delimiter=delimiter if delimiter in table else "",
        special=frozenset(special - {table[blank_text]}),
        normalise=_normalises(folder, where),
    )


def read_decoding(folder: Path, where: str) -> Decoding:
    """How a model is best searched, as its folder says in `decoding.json`; without one as anybody would.

    A language model lies in the folder too. Raises `ModelError`.
    """
    table = dict(_optional(folder / "decoding.json"))
    beam = table.pop("beam", 0)
    if not isinstance(beam, int) or isinstance(beam, bool) or beam < 0:
        raise ModelError(f"{where}, decoding.json: beam is {beam!r}, wanted how many texts to look at side by side")
    try:
        told = build(CtcSettings, table, f"{where}, decoding.json")
    except ConfigError as error:
        raise ModelError(str(error)) from None
    if told.lm and (Path(told.lm).name != told.lm or not (folder / told.lm).is_file()):
        raise ModelError(f"{where}: decoding.json names the language model {told.lm}, which is not beside it")
    return Decoding(beam, replace(told, lm=str(folder / told.lm)) if told.lm else told)


def vocabulary_file(folder: Path, where: str) -> Path:
    """The folder's `vocab.json`. Raises `ModelError` where there is none."""
    path = folder / "vocab.json"
    if not path.is_file():
        raise ModelError(f"{where} has no vocab.json; copy the tokenizer's files there from the model it was made of")
    return path


def _normalises(folder: Path, where: str) -> bool:
    table = _optional(folder / "preprocessor_config.json")
    table = table or dict(_optional(folder / "processor_config.json").get("feature_extractor") or {})
    rate_hz = table.get("sampling_rate", SAMPLE_RATE_HZ)
    if rate_hz != SAMPLE_RATE_HZ:
        raise ModelError(f"{where} takes audio at {rate_hz} Hz, wanted {SAMPLE_RATE_HZ}")
    return bool(table.get("do_normalize", True))


def _optional(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}


def _token(value: Any, default: str) -> str:
    """A token as settings write it: a text, or an object with its content."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else default


def _number(table: Mapping[str, Any], field: str, where: str) -> None:
    if not _is_count(table.get(field)):
        raise ModelError(f"{where} has {field} = {table.get(field)!r}, wanted a whole number above zero")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
