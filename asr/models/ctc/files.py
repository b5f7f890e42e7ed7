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
    """The vocabulary in `vocab_json` and the tokenizer's settings beside it, checked. Raises `ModelError`."""
    folder = vocab_json.parent
    table = read_object(vocab_json)
    size = config["vocab_size"]
    if any(isinstance(value, dict) for value in table.values()):
        raise ModelError(f"{vocab_json} holds the vocabularies of several languages, wanted one")
    if not all(isinstance(i, int) and 0 <= i < size for i in table.values()):
        raise ModelError(f"{vocab_json} has ids beyond the model's {size} outputs, wanted the model's own vocabulary")
    settings = read_optional(folder / "tokenizer_config.json") | read_optional(folder / "special_tokens_map.json")
    blank_text = _token(settings.get("pad_token"), DEFAULT_BLANK)
    if blank_text not in table:
        raise ModelError(f"{vocab_json} has no blank ({blank_text}), wanted a CTC model's vocabulary")
    letters = [""] * size
    for text, i in table.items():
        letters[i] = str(text)
    delimiter = _token(settings.get("word_delimiter_token"), DEFAULT_DELIMITER)
    special = {i for text, i in table.items() if text.startswith("<") and text.endswith(">")}
    special |= {
        table[t] for k in ("unk_token", "bos_token", "eos_token") if (t := _token(settings.get(k), "")) in table
    }
    special |= {i for i, text in enumerate(letters) if not text}
    return Vocabulary(
        letters=tuple(letters),
        blank=int(table[blank_text]),
        delimiter=delimiter if delimiter in table else "",
        special=frozenset(special - {table[blank_text]}),
        normalise=_normalises(folder, where),
    )


def read_decoding(folder: Path, where: str) -> Decoding:
    """The model's own search settings from the folder's `decoding.json`; defaults if there is none.

    It may name a language model in the same folder. Raises `ModelError`.
    """
    table = dict(read_optional(folder / "decoding.json"))
    beam = table.pop("beam", 0)
    if not isinstance(beam, int) or isinstance(beam, bool) or beam < 0:
        raise ModelError(f"{where}, decoding.json: beam is {beam!r}, wanted the number of hypotheses to keep")
    try:
        settings = build(CtcSettings, table, f"{where}, decoding.json")
    except ConfigError as error:
        raise ModelError(str(error)) from None
    if settings.lm and (Path(settings.lm).name != settings.lm or not (folder / settings.lm).is_file()):
        raise ModelError(f"{where}: decoding.json names the language model {settings.lm}, which is not beside it")
    return Decoding(beam, replace(settings, lm=str(folder / settings.lm)) if settings.lm else settings)


def tokenizer_file(source: Source) -> Path:
    """The model's `vocab.json`. Raises `ModelError` when there is none."""
    path = source.tokenizer_json or source.folder / "vocab.json"
    if not path.is_file():
        raise ModelError(
            f"{source.where} has no vocab.json; copy the tokenizer's files there from the model it was made of"
        )
    return path


def _normalises(folder: Path, where: str) -> bool:
    """Whether the preprocessor scales audio to zero mean and unit variance. Raises `ModelError` for another rate."""
    table = read_optional(folder / "preprocessor_config.json")
    table = table or dict(read_optional(folder / "processor_config.json").get("feature_extractor") or {})
    rate_hz = table.get("sampling_rate", SAMPLE_RATE_HZ)
    if rate_hz != SAMPLE_RATE_HZ:
        raise ModelError(f"{where} takes audio at {rate_hz} Hz, wanted {SAMPLE_RATE_HZ}")
    return bool(table.get("do_normalize", True))


def _token(value: Any, default: str) -> str:
    """A token in a settings file: a text, or an object with a ``content``."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else default
