"""Tiny random Whisper models on disk, in Transformers' and in CTranslate2's layout."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import ctranslate2.specs
import pytest
import torch
from safetensors.torch import save_file

from tests.asr.model_files.packaged import Packaged

CONFIG = {
    "model_type": "whisper",
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
LETTERS = [chr(ord("a") + i) for i in range(20)]
SPECIAL = [
    *("endoftext", "startoftranscript", "en", "de", "haw", "translate", "transcribe", "startoflm", "startofprev"),
    *("nospeech", "notimestamps"),
]
TIMES = [f"{i * 0.02:.2f}" for i in range(40 - len(LETTERS) - len(SPECIAL))]

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for this test alone."""
    monkeypatch.setenv("STEADYWORD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def random_whisper() -> Tensors:
    """Random tensors of a whole Whisper model under Transformers' names, float32."""
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes().items()}


def shapes() -> dict[str, tuple[int, ...]]:
    """As `WhisperForConditionalGeneration(WhisperConfig(**CONFIG)).state_dict()` has them, without proj_out."""
    d = CONFIG["d_model"]
    found: dict[str, tuple[int, ...]] = {
        "model.encoder.conv1.weight": (d, CONFIG["num_mel_bins"], 3),
        "model.encoder.conv1.bias": (d,),
        "model.encoder.conv2.weight": (d, d, 3),
        "model.encoder.conv2.bias": (d,),
        "model.encoder.embed_positions.weight": (CONFIG["max_source_positions"], d),
        "model.decoder.embed_positions.weight": (CONFIG["max_target_positions"], d),
        "model.decoder.embed_tokens.weight": (CONFIG["vocab_size"], d),
    }
    for part in ("encoder", "decoder"):
        ffn, n_layers = CONFIG[f"{part}_ffn_dim"], CONFIG[f"{part}_layers"]
        layers = [f"model.{part}.layers.{i}" for i in range(n_layers)]
        attentions = ["self_attn", "encoder_attn"] if part == "decoder" else ["self_attn"]
        norms = [f"model.{part}.layer_norm", *(f"{layer}.final_layer_norm" for layer in layers)]
        for attention in (f"{layer}.{name}" for layer in layers for name in attentions):
            found |= {f"{attention}.{p}_proj.weight": (d, d) for p in ("q", "k", "v", "out")}
            found |= {f"{attention}.{p}_proj.bias": (d,) for p in ("q", "v", "out")}
            norms.append(f"{attention}_layer_norm")
        for layer in layers:
            found |= {f"{layer}.fc1.weight": (ffn, d), f"{layer}.fc1.bias": (ffn,)}
            found |= {f"{layer}.fc2.weight": (d, ffn), f"{layer}.fc2.bias": (d,)}
        found |= {f"{norm}.{kind}": (d,) for norm in norms for kind in ("weight", "bias")}
    return found


@pytest.fixture
def write_transformers(random_whisper: Tensors) -> Callable[[Path], Path]:
    """Writes the random model as Transformers' `save_pretrained` does."""

    def write(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(CONFIG))
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
        (folder / "generation_config.json").write_text(
            json.dumps(
                {
                    "alignment_heads": [[1, 0], [2, 3]],
                    "suppress_tokens": [1, 2],
                    "begin_suppress_tokens": [3, 20],
                    "is_multilingual": True,
                }
            )
        )
        save_file(random_whisper, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return write


@pytest.fixture
def write_ctranslate2(random_whisper: Tensors) -> Callable[..., Path]:
    """Writes the random model with CTranslate2's own specification, aliasing and quantising code."""

    def write(folder: Path, quantization: str | None = None, tensors: Tensors = random_whisper) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        spec = ctranslate2_spec(tensors)
        spec.register_vocabulary([*LETTERS, *(f"<|{name}|>" for name in (*SPECIAL, *TIMES))])
        spec.config.suppress_ids = [1, 2]
        spec.config.suppress_ids_begin = [3, 20]
        spec.config.alignment_heads = [(1, 0), (2, 3)]
        spec.validate()
        spec.optimize(quantization=quantization)
        spec.save(str(folder))
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
        return folder

    return write


@pytest.fixture
def packaged(
    own_cache: Path, write_ctranslate2: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Packaged:
    """The random model as the configured model "tiny-test"."""
    root = tmp_path / "site"
    model = Packaged(root, write_ctranslate2(tmp_path / "converted", "float16"))
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    monkeypatch.setattr("asr.model_files.configured.config_dir", lambda: root / "configs")
    return model


def tokenizer() -> dict[str, object]:
    """What `tokenizer.json` must say for the model's loading, with every special token."""
    special = [{"id": len(LETTERS) + i, "content": f"<|{name}|>", "special": True} for i, name in enumerate(SPECIAL)]
    return {"model": {"type": "BPE", "vocab": {c: i for i, c in enumerate(LETTERS)}}, "added_tokens": special}


def ctranslate2_spec(tensors: Tensors):
    """The tensors put where `ctranslate2.converters.transformers.WhisperLoader` puts them."""
    source = {name: tensor.numpy().copy() for name, tensor in tensors.items()}
    spec = ctranslate2.specs.WhisperSpec(
        CONFIG["encoder_layers"],
        CONFIG["encoder_attention_heads"],
        CONFIG["decoder_layers"],
        CONFIG["decoder_attention_heads"],
    )

    def affine(target, name):
        target.weight, target.bias = source[f"{name}.weight"], source[f"{name}.bias"]

    def norm(target, name):
        target.gamma, target.beta = source[f"{name}.weight"], source[f"{name}.bias"]

    def fused(target, name, parts):
        zero_bias = torch.zeros(CONFIG["d_model"]).numpy()
        target.weight = torch.cat([torch.from_numpy(source[f"{name}.{p}_proj.weight"]) for p in parts]).numpy()
        biases = [source.get(f"{name}.{p}_proj.bias", zero_bias) for p in parts]
        target.bias = torch.cat([torch.from_numpy(bias) for bias in biases]).numpy()

    for part, name in ((spec.encoder, "model.encoder"), (spec.decoder, "model.decoder")):
        part.position_encodings.encodings = source[f"{name}.embed_positions.weight"]
        norm(part.layer_norm, f"{name}.layer_norm")
        for i, layer in enumerate(part.layer):
            old = f"{name}.layers.{i}"
            fused(layer.self_attention.linear[0], f"{old}.self_attn", "qkv")
            affine(layer.self_attention.linear[1], f"{old}.self_attn.out_proj")
            norm(layer.self_attention.layer_norm, f"{old}.self_attn_layer_norm")
            affine(layer.ffn.linear_0, f"{old}.fc1")
            affine(layer.ffn.linear_1, f"{old}.fc2")
            norm(layer.ffn.layer_norm, f"{old}.final_layer_norm")
            if part is spec.decoder:
                affine(layer.attention.linear[0], f"{old}.encoder_attn.q_proj")
                fused(layer.attention.linear[1], f"{old}.encoder_attn", "kv")
                affine(layer.attention.linear[2], f"{old}.encoder_attn.out_proj")
                norm(layer.attention.layer_norm, f"{old}.encoder_attn_layer_norm")
    affine(spec.encoder.conv1, "model.encoder.conv1")
    affine(spec.encoder.conv2, "model.encoder.conv2")
    spec.decoder.embeddings.weight = source["model.decoder.embed_tokens.weight"]
    spec.decoder.projection.weight = source["model.decoder.embed_tokens.weight"]
    return spec
