"""What decoding needs from the vocabulary: ids of special tokens, found by their text; the code contains no id."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.errors import ModelError

SPECIAL = ("startoftranscript", "transcribe", "translate", "notimestamps", "startofprev", "nospeech", "endoftext")
OTHER_SPELLINGS = {"nospeech": "nocaptions"}  # the same token's name before large-v3

MULTILINGUAL_VOCABULARY = 51_865
"""A vocabulary of at least this size is multilingual (`openai/whisper`, `model.py`, `is_multilingual`)."""

_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


def generation_settings(tokenizer_json: Path, stated: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """A folder's generation settings `stated` (may be empty), completed from the tokenizer.

    Keys: ``alignment_heads`` (pairs of layer and head; None if not stated), ``suppress_tokens``,
    ``begin_suppress_tokens``, ``is_multilingual``, ``lang_to_id`` ("en" -> id), ``token_ids`` (name in `SPECIAL`
    -> id), ``timestamp_begin`` (the id of "<|0.00|>"). `config`: see `asr.models.whisper.layout.whisper_config`.
    Raises `ModelError` for a tokenizer that lacks a token, and for settings that do not fit the model.
    """
    vocab_size = config["vocab_size"]
    tokens = _special_tokens(tokenizer_json)
    token_ids = {name: _token_id(tokens, name, tokenizer_json) for name in SPECIAL}
    if max(token_ids.values()) >= vocab_size:
        raise ModelError(f"{tokenizer_json} has more tokens than the model's {vocab_size}, wanted the model's own")
    multilingual = stated.get("is_multilingual")
    return {
        "alignment_heads": _heads(stated, config),
        "suppress_tokens": _ids(stated, "suppress_tokens", vocab_size),
        "begin_suppress_tokens": _ids(stated, "begin_suppress_tokens", vocab_size),
        "is_multilingual": vocab_size >= MULTILINGUAL_VOCABULARY if multilingual is None else bool(multilingual),
        "lang_to_id": {match[1]: tokens[match[0]] for text in tokens if (match := _LANGUAGE.fullmatch(text))},
        "token_ids": token_ids,
        # The times follow `<|notimestamps|>` in every Whisper vocabulary; older tokenizer files leave them out.
        "timestamp_begin": tokens.get("<|0.00|>", token_ids["notimestamps"] + 1),
    }


def _ids(stated: Mapping[str, Any], key: str, vocab_size: int) -> list[int]:
    """Token ids. Some older files also contain -1 for "the usual ones"; it is dropped."""
    ids = stated.get(key) or []
    if not isinstance(ids, list) or not all(isinstance(token, int) and token < vocab_size for token in ids):
        raise ModelError(f"the model's settings have {key} = {_short(ids)}, wanted a list of ids below {vocab_size}")
    return [token for token in ids if token >= 0]


def _heads(stated: Mapping[str, Any], config: Mapping[str, Any]) -> list[tuple[int, int]] | None:
    pairs = stated.get("alignment_heads") or []
    bounds = (config["decoder_layers"], config["decoder_attention_heads"])
    if not isinstance(pairs, list) or not all(_is_pair(pair, bounds) for pair in pairs):
        wanted = f"wanted pairs below {bounds[0]} layers and {bounds[1]} heads"
        raise ModelError(f"the model's settings have alignment_heads = {_short(pairs)}, {wanted}")
    return [(layer, head) for layer, head in pairs] or None


def _is_pair(pair: Any, bounds: tuple[int, int]) -> bool:
    return (
        isinstance(pair, (list, tuple))
        and len(pair) == 2
        and all(isinstance(i, int) and 0 <= i < bound for i, bound in zip(pair, bounds, strict=True))
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _token_id(tokens: Mapping[str, int], name: str, where: Path) -> int:
    for spelling in (name, OTHER_SPELLINGS.get(name, name)):
        if (token := tokens.get(f"<|{spelling}|>")) is not None:
            return token
    raise ModelError(f"{where} has no token <|{name}|>, wanted a Whisper tokenizer")


def _special_tokens(path: Path) -> dict[str, int]:
    """The tokenizer's added tokens, text -> id, in the order of their ids."""
    try:
        added = json.loads(path.read_text(encoding="utf-8"))["added_tokens"]
        tokens = {str(token["content"]): int(token["id"]) for token in added}
    except FileNotFoundError:
        raise ModelError(f"no tokenizer at {path}; copy Whisper's tokenizer.json there") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{path} is no tokenizer, wanted the tokenizer.json of a Whisper model") from None
    return dict(sorted(tokens.items(), key=lambda item: item[1]))
