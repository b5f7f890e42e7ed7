"""Small CTC models with random weights, saved by Transformers itself: the reference that ours must equal."""

import json
from pathlib import Path
from typing import Any

import torch

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
VOCABULARY = {token: i for i, token in enumerate(("<pad>", "<s>", "</s>", "<unk>", "|", *LETTERS))}
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": len(VOCABULARY),
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
WAVLM = {"num_buckets": 32, "max_bucket_distance": 40}
LAYOUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2 base": ("Wav2Vec2", {}),
    "wav2vec2 large": ("Wav2Vec2", LARGE),
    "hubert base": ("Hubert", {}),
    "hubert large": ("Hubert", LARGE),
    "hubert with batch norm": ("Hubert", {"conv_pos_batch_norm": True, "feat_proj_layer_norm": False}),
    "wavlm base": ("WavLM", WAVLM),
    "wavlm large": ("WavLM", LARGE | WAVLM),
}


def random_model(layout: str, seed: int = 0) -> torch.nn.Module:
    """Transformers' model of that layout, its weights so large that every part matters."""
    import transformers

    family, more = LAYOUTS[layout]
    torch.manual_seed(seed)
    config = getattr(transformers, f"{family}Config")(**SIZES, **more)
    model = getattr(transformers, f"{family}ForCTC")(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, 0.0, 0.15)
    return model


def save(model: torch.nn.Module, folder: Path, normalise: bool = True) -> Path:
    """The folder as Transformers writes it, with a tokenizer's and a preprocessor's files."""
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(VOCABULARY))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>", "word_delimiter_token": "|"}))
    preprocessor = {"sampling_rate": 16_000, "do_normalize": normalise}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder
