"""What a Whisper decoder must know of its vocabulary, by the tokens' text: no id is written in the code."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr.errors import ModelError

SPECIAL = ("startoftranscript", "transcribe", "translate", "notimestamps", "startofprev", "nospeech", "endoftext")
OTHER_SPELLINGS = {"nospeech": "nocaptions"}  # the name until large-v3, the same token

MULTILINGUAL_VOCABULARY = 51_865
"""From this many tokens on a vocabulary is a multilingual one (`openai/whisper`, `model.py`, `is_multilingual`)."""

_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


def generation_settings(tokenizer_json: Path, told: Mapping[str, Any], vocab_size: int) -> dict[str, Any]:
    """What `told` (a folder's generation settings, may be empty) says, completed from the tokenizer.

    Keys: ``alignment_heads`` (pairs of layer and head; None where nobody told), ``suppress_tokens``,
    ``begin_suppress_tokens``, ``is_multilingual``, ``lang_to_id`` ("en" -> id), ``token_ids`` (name in `SPECIAL`
    -> id), ``timestamp_begin`` (the id of "<|0.00|>"). Raises `ModelError` for a tokenizer that lacks one of them.
    """
    tokens = _special_tokens(tokenizer_json)
    token_ids = {name: _token_id(tokens, name, tokenizer_json) for name in SPECIAL}
    heads = told.get("alignment_heads")
    multilingual = told.get("is_multilingual")
    return {
        "alignment_heads": None if not heads else [(int(layer), int(head)) for layer, head in heads],
        "suppress_tokens": _ids(told.get("suppress_tokens")),
        "begin_suppress_tokens": _ids(told.get("begin_suppress_tokens")),
        "is_multilingual": vocab_size >= MULTILINGUAL_VOCABULARY if multilingual is None else bool(multilingual),
        "lang_to_id": {match[1]: tokens[match[0]] for text in tokens if (match := _LANGUAGE.fullmatch(text))},
        "token_ids": token_ids,
        # The times follow `<|notimestamps|>` in every Whisper vocabulary; older tokenizer files leave them out.
        "timestamp_begin": tokens.get("<|0.00|>", token_ids["notimestamps"] + 1),
    }


def _ids(told: Any) -> list[int]:
    """Token ids without the -1 that stands for a list of OpenAI's in some older files."""
    return [int(token) for token in told or () if int(token) >= 0]


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
