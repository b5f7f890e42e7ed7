"""Which configuration fields and tensors a CTC model has: Transformers' wav2vec 2.0, HuBERT and WavLM."""

from collections.abc import Mapping
from typing import Any

import torch

from asr.errors import ModelError

_LISTS = ("conv_dim", "conv_kernel", "conv_stride")
_NUMBERS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "vocab_size",
)


def ctc_config(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The configuration, checked. Raises `ModelError` for a field that is missing, wrong or not supported."""
    for name in _NUMBERS:
        _number(table, name, where)
    for name in _LISTS:
        found = table.get(name)
        if not isinstance(found, list) or len(found) != len(table["conv_dim"]) or not all(map(_is_count, found)):
            raise ModelError(f"{where} has {name} = {found!r}, wanted one whole number above zero for each convolution")
    if table["hidden_size"] % table["num_attention_heads"]:
        heads = f"num_attention_heads = {table['num_attention_heads']}"
        raise ModelError(f"{where} has {heads}, wanted a divisor of hidden_size = {table['hidden_size']}")
    for name, wanted in (("hidden_act", "gelu"), ("feat_extract_activation", "gelu")):
        if table.get(name, "gelu") != wanted:
            raise ModelError(f"{where} has {name} = {table[name]!r}, wanted {wanted!r}")
    if table.get("feat_extract_norm", "group") not in ("group", "layer"):
        raise ModelError(f"{where} has feat_extract_norm = {table['feat_extract_norm']!r}, wanted 'group' or 'layer'")
    for name in ("adapter_attn_dim", "add_adapter"):
        if table.get(name):
            raise ModelError(f"{where} has adapters ({name}), wanted a model without")
    return dict(table)


def check_ctc_tensors(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any], where: str) -> None:
    """Check the tensors whose shapes depend on the configuration.

    Raises `ModelError` for the first one that is missing or has another shape.
    """
    prefix, width = str(config["model_type"]), config["hidden_size"]
    wanted: dict[str, tuple[int, ...]] = {"lm_head.weight": (config["vocab_size"], width)}
    channels = 1
    for i, (dim, kernel) in enumerate(zip(config["conv_dim"], config["conv_kernel"], strict=True)):
        wanted[f"{prefix}.feature_extractor.conv_layers.{i}.conv.weight"] = (dim, channels, kernel)
        channels = dim
    for i in range(config["num_hidden_layers"]):
        name = f"{prefix}.encoder.layers.{i}"
        for part in "qkv":
            wanted[f"{name}.attention.{part}_proj.weight"] = (width, width)
        wanted[f"{name}.feed_forward.intermediate_dense.weight"] = (config["intermediate_size"], width)
        wanted[f"{name}.feed_forward.output_dense.weight"] = (width, config["intermediate_size"])
    for name, shape in wanted.items():
        if name not in tensors:
            hint = "; it was saved without its output layer: fine-tune it first" if name.startswith("lm_head") else ""
            raise ModelError(f"{where} has no tensor {name}, wanted a complete CTC model{hint}")
        if tuple(tensors[name].shape) != shape:
            raise ModelError(f"{where}: {name} has the shape {tuple(tensors[name].shape)}, wanted {shape}")


def _number(table: Mapping[str, Any], field: str, where: str) -> None:
    if not _is_count(table.get(field)):
        raise ModelError(f"{where} has {field} = {table.get(field)!r}, wanted a whole number above zero")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
