"""What decoding needs from the vocabulary, found by the tokens' text."""

import json
from pathlib import Path
from typing import Any

import pytest

from asr.errors import ModelError
from asr.models.whisper.generation import generation_settings

pytestmark = pytest.mark.usefixtures("own_cache")

NAMES = [
    "endoftext",
    "startoftranscript",
    "en",
    "haw",
    "translate",
    "transcribe",
    "startofprev",
    "nospeech",
    "notimestamps",
]


def tokenizer(folder: Path, names: list[str], first_id: int = 100) -> Path:
    added = [{"content": f"<|{name}|>", "id": first_id + i} for i, name in enumerate(names)]
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({"added_tokens": added}))
    return path


def settings(folder: Path, stated: dict[str, Any] | None = None, vocab_size: int = 51865) -> dict[str, Any]:
    return generation_settings(tokenizer(folder, NAMES), stated or {}, sizes(vocab_size))


def sizes(vocab_size: int = 51865) -> dict[str, int]:
    return {"vocab_size": vocab_size, "decoder_layers": 4, "decoder_attention_heads": 6}


@pytest.mark.parametrize("first_id", [0, 100, 50257])
def test_ids_come_from_the_texts(tmp_path: Path, first_id: int) -> None:
    """Wherever a vocabulary puts them, the ids follow."""
    ids = generation_settings(tokenizer(tmp_path, NAMES, first_id), {}, sizes())["token_ids"]
    assert ids == {name: first_id + NAMES.index(name) for name in NAMES if name not in ("en", "haw")}


def test_the_older_name_of_no_speech_is_known(tmp_path: Path) -> None:
    """Up to large-v2 the token is called <|nocaptions|>."""
    older = ["nocaptions" if name == "nospeech" else name for name in NAMES]
    ids = generation_settings(tokenizer(tmp_path, older), {}, sizes())["token_ids"]
    assert ids["nospeech"] == 100 + NAMES.index("nospeech")


def test_languages_are_the_two_and_three_letter_tokens(tmp_path: Path) -> None:
    """<|en|> and <|haw|> are languages; <|translate|> and the times are not."""
    names = [*NAMES, "0.00", "0.02"]
    assert generation_settings(tokenizer(tmp_path, names), {}, sizes())["lang_to_id"] == {"en": 102, "haw": 103}


def test_times_begin_at_their_token_or_after_the_last_special_one(tmp_path: Path) -> None:
    """Newer tokenizer files list the times; in older ones they follow <|notimestamps|>, unlisted."""
    listed = generation_settings(tokenizer(tmp_path, [*NAMES, "other", "0.00"]), {}, sizes())
    assert listed["timestamp_begin"] == 110
    assert settings(tmp_path)["timestamp_begin"] == 109


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("en", "haw")])
def test_a_tokenizer_without_a_special_token_is_refused(tmp_path: Path, name: str) -> None:
    """A text model's tokenizer beside Whisper's weights is found before the first word."""
    path = tokenizer(tmp_path, [other for other in NAMES if other != name])
    with pytest.raises(ModelError, match=rf"has no token <\|{name}\|>, wanted a Whisper tokenizer"):
        generation_settings(path, {}, sizes())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"added_tokens": 3}', '{"added_tokens": [{"id": "x"}]}', "\x00"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, text: str) -> None:
    """Not JSON, or JSON of something else."""
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match=r"is no tokenizer, wanted the tokenizer\.json of a Whisper model"):
        generation_settings(tmp_path / "tokenizer.json", {}, sizes())


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    """Another model's tokenizer would ask for embeddings that are not there."""
    with pytest.raises(ModelError, match="has more tokens than the model's 105"):
        settings(tmp_path, vocab_size=105)


def test_alignment_heads_that_are_not_stated_are_none(tmp_path: Path) -> None:
    """They are measured, not derived from sizes; the caller has a default."""
    assert settings(tmp_path)["alignment_heads"] is None
    assert settings(tmp_path, {"alignment_heads": [[1, 2]]})["alignment_heads"] == [(1, 2)]


def test_a_vocabulary_of_51865_is_multilingual_unless_told_otherwise(tmp_path: Path) -> None:
    """OpenAI's own rule (whisper/model.py), unless the folder states something else."""
    assert settings(tmp_path, vocab_size=51865)["is_multilingual"]
    assert not settings(tmp_path, vocab_size=51864)["is_multilingual"]
    assert settings(tmp_path, {"is_multilingual": True}, 200)["is_multilingual"]


def test_minus_one_is_no_token(tmp_path: Path) -> None:
    """Some files write -1 for "the usual ones", which they list as well."""
    assert settings(tmp_path, {"suppress_tokens": [-1, 7], "begin_suppress_tokens": None})["suppress_tokens"] == [7]


@pytest.mark.parametrize(
    "stated",
    [
        {"suppress_tokens": "all"},
        {"suppress_tokens": [51865]},
        {"begin_suppress_tokens": [None]},
        {"alignment_heads": [1, 2]},
        {"alignment_heads": [[4, 0]]},
        {"alignment_heads": [[0, 6]]},
    ],
)
def test_settings_that_do_not_fit_the_model_are_refused(tmp_path: Path, stated: dict[str, Any]) -> None:
    """A generation_config.json of another model gets a sentence that names the key, not a crash in the first step."""
    with pytest.raises(ModelError, match=next(iter(stated))):
        settings(tmp_path, stated)
