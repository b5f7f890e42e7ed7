"""Which configuration fields and tensors a Whisper model has, under Transformers' names."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from asr.errors import ModelError

CONFIG_FIELDS = (
    "d_model",
    "encoder_layers",
    "encoder_attention_heads",
    "decoder_layers",
    "decoder_attention_heads",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "num_mel_bins",
    "max_source_positions",
    "max_target_positions",
    "vocab_size",
)

Shape = tuple[int, ...]


def whisper_config(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields above from a table like Transformers' `config.json`. Raises `ModelError` for a wrong one."""
    for field in CONFIG_FIELDS:
        found = table.get(field)
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise ModelError(f"{where} has {field} = {found!r}, wanted a whole number above zero")
    for part in ("encoder", "decoder"):
        if table["d_model"] % table[f"{part}_attention_heads"]:
            heads = f"{part}_attention_heads = {table[f'{part}_attention_heads']}"
            raise ModelError(f"{where} has {heads}, wanted a divisor of d_model = {table['d_model']}")
    return {field: table[field] for field in CONFIG_FIELDS}


def without_tied(tensors: Mapping[str, torch.Tensor], where: str) -> dict[str, torch.Tensor]:
    """The tensors without `proj_out.weight`, which is the embedding matrix and in some files stored a second time.

    Raises `ModelError` if it is another matrix: dropping that would silently change the model.
    """
    own, embeddings = tensors.get("proj_out.weight"), tensors.get("model.decoder.embed_tokens.weight")
    if own is not None and (embeddings is None or not torch.equal(own, embeddings)):
        raise ModelError(f"{where} has an output projection other than the embeddings, wanted equal ones as in Whisper")
    return {name: tensor for name, tensor in tensors.items() if name != "proj_out.weight"}


def check_tensors(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any], where: str) -> None:
    """Check that exactly Whisper's tensors are there, as floats in the shapes that the configuration gives.

    Raises `ModelError` for the first one that is not.
    """
    wanted = dict(_shapes(config))
    for name, shape in wanted.items():
        if name not in tensors:
            raise ModelError(f"{where} has no tensor {name}; wanted a complete Whisper model")
        if tuple(tensors[name].shape) != shape:
            raise ModelError(f"{where}: {name} has the shape {tuple(tensors[name].shape)}, wanted {shape}")
        if not tensors[name].is_floating_point():
            raise ModelError(f"{where}: {name} is of type {tensors[name].dtype}, wanted floats")
    for name in tensors:
        if name not in wanted:
            raise ModelError(f"{where} has a tensor {name} that Whisper does not have; wanted a plain Whisper model")


def _shapes(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    d_model = config["d_model"]
    yield "model.encoder.conv1.weight", (d_model, config["num_mel_bins"], 3)
    yield "model.encoder.conv1.bias", (d_model,)
    yield "model.encoder.conv2.weight", (d_model, d_model, 3)
    yield "model.encoder.conv2.bias", (d_model,)
    yield "model.encoder.embed_positions.weight", (config["max_source_positions"], d_model)
    yield "model.decoder.embed_tokens.weight", (config["vocab_size"], d_model)
    yield "model.decoder.embed_positions.weight", (config["max_target_positions"], d_model)
    for part in ("encoder", "decoder"):
        yield from _norm(f"model.{part}.layer_norm", d_model)
        for i in range(config[f"{part}_layers"]):
            yield from _layer(f"model.{part}.layers.{i}", part, d_model, config[f"{part}_ffn_dim"])


def _layer(prefix: str, part: str, d_model: int, ffn_dim: int) -> Iterator[tuple[str, Shape]]:
    for attention in ("self_attn", "encoder_attn") if part == "decoder" else ("self_attn",):
        yield from _attention(f"{prefix}.{attention}", d_model)
        yield from _norm(f"{prefix}.{attention}_layer_norm", d_model)
    yield f"{prefix}.fc1.weight", (ffn_dim, d_model)
    yield f"{prefix}.fc1.bias", (ffn_dim,)
    yield f"{prefix}.fc2.weight", (d_model, ffn_dim)
    yield f"{prefix}.fc2.bias", (d_model,)
    yield from _norm(f"{prefix}.final_layer_norm", d_model)


def _attention(prefix: str, d_model: int) -> Iterator[tuple[str, Shape]]:
    for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
        yield f"{prefix}.{projection}.weight", (d_model, d_model)
        if projection != "k_proj":  # a bias of the keys would cancel in the softmax
            yield f"{prefix}.{projection}.bias", (d_model,)


def _norm(prefix: str, d_model: int) -> Iterator[tuple[str, Shape]]:
    yield f"{prefix}.weight", (d_model,)
    yield f"{prefix}.bias", (d_model,)
