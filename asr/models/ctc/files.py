"""A CTC model's files, read and checked, as Transformers writes them: weights, vocabulary, preprocessor, search."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr.config import SAMPLE_RATE_HZ, CtcSettings, build
from asr.errors import ConfigError, ModelError
from asr.model_files.source import Source, read_object, read_optional
from asr.model_files.tensors import read_tensors
from asr.models.architecture import ModelFiles
from asr.models.ctc.layout import check_ctc_tensors, ctc_config
from asr.models.ctc.vocabulary import Decoding, Vocabulary

DEFAULT_DELIMITER, DEFAULT_BLANK = "|", "<pad>"
"""As Transformers' `Wav2Vec2CTCTokenizer` has them."""


@dataclass(frozen=True)
class CtcFiles(ModelFiles):
    """``tensors`` and ``config`` are those of Transformers' `Wav2Vec2ForCTC`, `HubertForCTC` or `WavLMForCTC`."""

    vocabulary: Vocabulary
    decoding: Decoding


def read_files(name: str, source: Source, weights_sha256: str) -> CtcFiles:
    """The model's files. Raises `ModelError` for files that are damaged, incomplete or do not fit each other."""
    config = ctc_config(source.config(), source.where)
    vocab_json = tokenizer_file(source)
    vocabulary = read_vocabulary(vocab_json, config, source.where)
    tensors = read_tensors(source)
    check_ctc_tensors(tensors, config, source.where)
    decoding = read_decoding(vocab_json.parent, source.where)
    kind = str(config["model_type"])
    return CtcFiles(name, kind, tensors, config, vocab_json, weights_sha256, vocabulary, decoding)


def read_vocabulary(vocab_json: Path, config: Mapping[str, Any], where: str) -> Vocabulary:
    """The vocabulary beside a model, checked. Raises `ModelError`."""
    folder = vocab_json.parent
    table = read_object(vocab_json)
    size = config["vocab_size"]
    if any(isinstance(value, dict) for value in table.values()):
        raise ModelError(f"{vocab_json} holds vocabularies of several languages, wanted that of one")
    if not all(isinstance(i, int) and 0 <= i < size for i in table.values()):
        raise ModelError(f"{vocab_json} has places beyond the model's {size} outputs, wanted the model's own")
    told = read_optional(folder / "tokenizer_config.json") | read_optional(folder / "special_tokens_map.json")
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
    table = dict(read_optional(folder / "decoding.json"))
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


def tokenizer_file(source: Source) -> Path:
    """The model's `vocab.json`. Raises `ModelError` when there is none."""
    path = source.tokenizer_json or source.folder / "vocab.json"
    if not path.is_file():
        raise ModelError(
            f"{source.where} has no vocab.json; copy the tokenizer's files there from the model it was made of"
        )
    return path


def _normalises(folder: Path, where: str) -> bool:
    table = read_optional(folder / "preprocessor_config.json")
    table = table or dict(read_optional(folder / "processor_config.json").get("feature_extractor") or {})
    rate_hz = table.get("sampling_rate", SAMPLE_RATE_HZ)
    if rate_hz != SAMPLE_RATE_HZ:
        raise ModelError(f"{where} takes audio at {rate_hz} Hz, wanted {SAMPLE_RATE_HZ}")
    return bool(table.get("do_normalize", True))


def _token(value: Any, default: str) -> str:
    """A token as settings write it: a text, or an object with its content."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else default
