"""A Whisper model's files in both layouts, and what does not fit."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from asr.errors import ModelError
from asr.model_files.cache import cache_dir
from asr.models.registry import load_model_files
from tests.asr.model_files.packaged import refusal

pytestmark = pytest.mark.usefixtures("own_cache")

Tensors = dict[str, torch.Tensor]


def test_a_transformers_folder_loads_as_it_is(
    write_transformers: Callable[[Path], Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """Same names, same values, the hash that of the file, no converted copy."""
    folder = write_transformers(tmp_path / "model")
    model = load_model_files(str(folder))
    assert model.tensors.keys() == random_whisper.keys()
    assert all(torch.equal(model.tensors[name], tensor) for name, tensor in random_whisper.items())
    assert model.weights_sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert model.tokenizer_json == folder / "tokenizer.json"
    assert not (cache_dir() / "models").exists()


def test_both_layouts_of_one_model_are_one_model(
    write_transformers: Callable[[Path], Path], write_ctranslate2: Callable[..., Path], tmp_path: Path
) -> None:
    """All but the name and the hash of the file is equal, whichever layout the folder has."""
    one = load_model_files(str(write_transformers(tmp_path / "one")))
    two = load_model_files(str(write_ctranslate2(tmp_path / "two")))
    assert one.config == two.config
    # CTranslate2's folder does not say whether the model is multilingual; a vocabulary of 40 is not.
    assert one.generation | {"is_multilingual": False} == two.generation
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in one.tensors)


def test_a_bare_model_and_tied_embeddings_are_understood(
    write_transformers: Callable[[Path], Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """`WhisperModel` saves names without `model.`, some files hold the tied proj_out too; both are the same model."""
    folder = write_transformers(tmp_path / "model")
    bare = {name.removeprefix("model."): tensor for name, tensor in random_whisper.items()}
    tied = {"proj_out.weight": random_whisper["model.decoder.embed_tokens.weight"].clone()}
    save_file(bare | tied, folder / "model.safetensors")
    assert load_model_files(str(folder)).tensors.keys() == random_whisper.keys()


def test_an_output_layer_of_its_own_is_refused(
    write_transformers: Callable[[Path], Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """Dropping an untied proj_out would silently change the model."""
    folder = write_transformers(tmp_path / "model")
    own = {"proj_out.weight": random_whisper["model.decoder.embed_tokens.weight"] + 1}
    save_file(random_whisper | own, folder / "model.safetensors")
    assert "output projection other than the embeddings" in refusal(folder)


def test_a_config_that_does_not_fit_the_tensors_is_refused(
    write_transformers: Callable[[Path], Path], tmp_path: Path
) -> None:
    """The first tensor that is missing or misshapen is named, instead of a failure deep in the first forward pass."""
    folder = write_transformers(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"decoder_layers": 4}))
    assert "has no tensor model.decoder.layers.3." in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"encoder_ffn_dim": 25}))
    assert "fc1.weight has the shape (24, 16), wanted (25, 16)" in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"encoder_layers": 1}))
    assert "tensor model.encoder.layers.1." in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"d_model": "16"}))
    assert "has d_model = '16', wanted a whole number above zero" in refusal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"decoder_attention_heads": 5}))
    assert "decoder_attention_heads = 5" in refusal(folder)


def test_before_generation_config_the_lists_were_in_config_json(
    write_transformers: Callable[[Path], Path], tmp_path: Path
) -> None:
    """Whisper folders of 2022 have no generation_config.json."""
    folder = write_transformers(tmp_path / "model")
    (folder / "generation_config.json").unlink()
    table = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(table | {"suppress_tokens": [5], "begin_suppress_tokens": [6]}))
    generation = load_model_files(str(folder)).generation
    assert (generation["suppress_tokens"], generation["begin_suppress_tokens"]) == ([5], [6])
    assert generation["alignment_heads"] is None


def test_a_missing_tokenizer_is_borrowed_where_the_vocabulary_is_the_same(
    write_ctranslate2: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CTranslate2's converter leaves tokenizer.json out by default; an installed one with the same tokens is used."""
    folder = write_ctranslate2(tmp_path / "model")
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    with pytest.raises(ModelError, match=r"has no tokenizer\.json; copy it there"):
        load_model_files(str(folder))
    monkeypatch.setattr("asr.model_files.configured.PackagedFile.locate", lambda self: tmp_path / "tokenizer.json")
    assert load_model_files(str(folder)).tokenizer_json == tmp_path / "tokenizer.json"
    vocabulary = json.loads((folder / "vocabulary.json").read_text())
    (folder / "vocabulary.json").write_text(json.dumps([vocabulary[1], vocabulary[0], *vocabulary[2:]]))
    with pytest.raises(ModelError, match=r"has no tokenizer\.json; copy it there"):
        load_model_files(str(folder))
