"""CTranslate2's layout, written by CTranslate2's own code, read by ours."""

import struct
from collections.abc import Callable
from pathlib import Path

import ctranslate2 as peer
import pytest
import torch

from asr.errors import ModelError
from asr.models.registry import load_model_files
from asr.models.whisper import ctranslate2

pytestmark = pytest.mark.usefixtures("own_cache")

Tensors = dict[str, torch.Tensor]


@pytest.mark.parametrize("quantization", [None, "float32", "float16", "bfloat16"])
def test_floats_come_back_as_they_were_stored(
    write_ctranslate2: Callable[..., Path], random_whisper: Tensors, tmp_path: Path, quantization: str | None
) -> None:
    """Splitting and renaming changes no value, for each of the floating types, and leaves no tensor out."""
    loaded = load_model_files(str(write_ctranslate2(tmp_path / "model", quantization))).tensors
    dtype = getattr(torch, quantization or "float32")
    assert loaded.keys() == random_whisper.keys()
    for name, tensor in random_whisper.items():
        assert loaded[name].dtype == dtype
        assert torch.equal(loaded[name], tensor.to(dtype)), name


@pytest.mark.parametrize("quantization", ["int8", "int8_float16", "int8_float32", "int8_bfloat16", "int16"])
def test_quantised_weights_come_back_within_half_a_step(
    write_ctranslate2: Callable[..., Path], random_whisper: Tensors, tmp_path: Path, quantization: str
) -> None:
    """A quantised weight is off by half a step at most (the step is amax/127 of its row, or amax/1024 of all)."""
    loaded = load_model_files(str(write_ctranslate2(tmp_path / "model", quantization))).tensors
    assert loaded.keys() == random_whisper.keys()
    for name, tensor in random_whisper.items():
        assert loaded[name].is_floating_point(), name
        flat = tensor.reshape(tensor.shape[0], -1)
        largest = flat.abs().amax() if quantization == "int16" else flat.abs().amax(dim=1, keepdim=True)
        # Fused projections share one scale a matrix in int16, so the step may be that of a neighbour: four is ample.
        step = largest * 4 / 1024 if quantization == "int16" else largest / 127
        rounding = flat.abs() * 2.0**-8  # the bfloat16 biases; float16's own rounding of the quotient is smaller
        off = (loaded[name].float().reshape(flat.shape) - flat).abs()
        assert (off <= step / 2 + rounding + 1e-6).all(), name


def test_the_configuration_is_read_off_the_tensors(write_ctranslate2: Callable[..., Path], tmp_path: Path) -> None:
    """CTranslate2 keeps no sizes in config.json; shapes, layer counts and head counts give Transformers' fields."""
    model = load_model_files(str(write_ctranslate2(tmp_path / "model", "int8")))
    assert model.config == {
        "d_model": 16,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_layers": 3,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 24,
        "decoder_ffn_dim": 32,
        "num_mel_bins": 8,
        "max_source_positions": 20,
        "max_target_positions": 12,
        "vocab_size": 40,
    }


def test_what_config_json_says_of_decoding_is_kept(write_ctranslate2: Callable[..., Path], tmp_path: Path) -> None:
    """CTranslate2's names for suppressed tokens and alignment heads become Transformers'."""
    generation = load_model_files(str(write_ctranslate2(tmp_path / "model"))).generation
    assert generation["suppress_tokens"] == [1, 2]
    assert generation["begin_suppress_tokens"] == [3, 20]
    assert generation["alignment_heads"] == [(1, 0), (2, 3)]


def test_equal_tensors_stored_once_are_all_there(
    write_ctranslate2: Callable[..., Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """CTranslate2 stores equal tensors once and aliases the others, with one scale for all when quantised."""
    same = random_whisper["model.encoder.layers.0.fc1.weight"]
    tensors = random_whisper | {"model.encoder.layers.1.fc1.weight": same.clone()}
    folder = write_ctranslate2(tmp_path / "model", "int8", tensors)
    loaded = load_model_files(str(folder)).tensors
    first, second = (loaded[f"model.encoder.layers.{i}.fc1.weight"] for i in (0, 1))
    assert torch.equal(first, second)
    assert (first.float() - same).abs().max() < 0.05


def test_ctranslate2_itself_takes_the_files_that_these_tests_write(
    write_ctranslate2: Callable[..., Path], tmp_path: Path
) -> None:
    """The C++ library opens the folder that these tests write, and sees the same sizes."""
    model = peer.models.Whisper(str(write_ctranslate2(tmp_path / "model", "int8")))
    assert model.n_mels == 8


def test_a_bias_of_the_keys_is_refused(write_ctranslate2: Callable[..., Path], tmp_path: Path) -> None:
    """Whisper's keys have none; dropping another one silently would change a model that is not Whisper's."""
    path = write_ctranslate2(tmp_path / "model") / "model.bin"
    model = ctranslate2.read_model(memoryview(path.read_bytes()), "m")
    bias = model.tensors["encoder/layer_0/self_attention/linear_0/bias"]
    data = path.read_bytes()
    before = bias.numpy().tobytes()
    after = before[: 16 * 4] + struct.pack("<16f", *[0.5] * 16) + before[32 * 4 :]
    assert data.count(before) == 1
    with pytest.raises(ModelError, match="bias for the keys"):
        ctranslate2.whisper_model(memoryview(data.replace(before, after)), "m")


def test_a_file_cut_anywhere_is_refused(write_ctranslate2: Callable[..., Path], tmp_path: Path) -> None:
    """Whatever byte the file ends at, the error says that it is truncated; never a short tensor, never a crash."""
    data = (write_ctranslate2(tmp_path / "model") / "model.bin").read_bytes()
    for end in [*range(0, 200), *range(200, len(data), 997), len(data) - 1]:
        with pytest.raises(ModelError, match="truncated"):
            ctranslate2.whisper_model(memoryview(data[:end]), "m")


@pytest.mark.parametrize("start", [b"PK\3\4", b"\x80\2ck", b"ggml", b"<!do"])
def test_another_format_under_the_same_name_is_refused(tmp_path: Path, start: bytes) -> None:
    """Other formats use the name `model.bin` too; the version number shows it."""
    with pytest.raises(ModelError, match=r"wanted a CTranslate2 model of version 4 to 6"):
        ctranslate2.read_model(memoryview(start + bytes(100)), "m")


def test_another_architecture_is_refused_by_name() -> None:
    """A translation model in the same layout is named in the error, and what is wanted."""
    data = struct.pack("<IH", 6, 16) + b"TransformerSpec\0" + struct.pack("<III", 7, 0, 0)
    with pytest.raises(ModelError, match="holds a TransformerSpec model, wanted a WhisperSpec"):
        ctranslate2.whisper_model(memoryview(data), "m")


def test_an_older_revision_is_refused() -> None:
    """Revisions before 3 keep no head counts; guessing them would give nonsense."""
    data = struct.pack("<IH", 6, 12) + b"WhisperSpec\0" + struct.pack("<III", 2, 0, 0)
    with pytest.raises(ModelError, match="revision 2, wanted 3"):
        ctranslate2.whisper_model(memoryview(data), "m")


def test_a_missing_tensor_is_named() -> None:
    """A model without layers is refused with the first tensor that it lacks."""
    data = struct.pack("<IH", 6, 12) + b"WhisperSpec\0" + struct.pack("<III", 3, 0, 0)
    with pytest.raises(ModelError, match="has no tensor encoder/conv1/weight"):
        ctranslate2.whisper_model(memoryview(data), "m")
