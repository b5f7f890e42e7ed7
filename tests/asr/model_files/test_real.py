"""The models that the project names, as they come in their packages (the user's own cache is used)."""

import torch

from asr.model_files import list_models
from asr.models.registry import load_model_files


def test_the_two_models_of_the_project_load_by_name() -> None:
    """Both are checked against the hashes in configs/models, which DESIGN.md states too."""
    tiny, base = load_model_files("whisper-tiny.en"), load_model_files("whisper-base")
    assert tiny.weights_sha256 == "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
    assert base.weights_sha256 == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert not tiny.generation["is_multilingual"]
    assert base.generation["is_multilingual"]


def test_the_languages_listed_are_those_of_the_tokenizer() -> None:
    """configs/models/whisper-base.toml writes out its 99 languages; the tokenizer has the same, in the same order."""
    listed = {status.name: status.languages for status in list_models()}
    assert listed["whisper-base"] == tuple(load_model_files("whisper-base").generation["lang_to_id"])
    assert listed["whisper-tiny.en"] == ("en",)


def test_the_default_model_has_the_sizes_of_tiny_en() -> None:
    """Sizes as OpenAI published them; 37.2 million parameters without the encoder's fixed sinusoids."""
    model = load_model_files("whisper-tiny.en")
    assert model.config["d_model"] == 384
    assert model.config["encoder_layers"] == model.config["decoder_layers"] == 4
    assert model.config["encoder_attention_heads"] == model.config["decoder_attention_heads"] == 6
    assert model.config["vocab_size"] == 51864
    fixed = model.tensors["model.encoder.embed_positions.weight"].numel()
    assert round((sum(t.numel() for t in model.tensors.values()) - fixed) / 1e5) == 372
    assert {tensor.dtype for tensor in model.tensors.values()} == {torch.float16}
