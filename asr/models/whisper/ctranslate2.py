"""Reads models in CTranslate2's format (`model.bin`); the tensors get Transformers' names.

The layout is what `ctranslate2.specs.model_spec.ModelSpec._serialize` writes, little endian: version u32, spec name,
revision u32, then a count and the tensors (name, rank u8, dimensions u32, type u8, bytes u32, data), then a count and
the aliases (alias, name). A name is its length u16 (with the closing zero), the letters, and the zero.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from asr.errors import ModelError
from asr.models.whisper.layout import without_tied

VERSIONS = (4, 5, 6)
"""Before version 4 a tensor stored only the size of its items, not their type. 6 is the newest."""

DTYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)
"""Type numbers as in CTranslate2's `include/ctranslate2/types.h`."""

WHISPER_REVISION = 3

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Ct2Model:
    """The content of one `model.bin`: its specification, and its tensors, still quantised, with aliases resolved."""

    spec: str
    revision: int
    tensors: Tensors


class _Reader:
    """A cursor over the file's bytes. Its methods raise `ModelError` when the bytes end too early."""

    def __init__(self, data: memoryview, where: str) -> None:
        self._data = data
        self._where = where
        self._at = 0

    def take(self, n_bytes: int) -> memoryview:
        """The next bytes. Raises `ModelError` when there are fewer."""
        end = self._at + n_bytes
        if end > len(self._data):
            found = f"ends after {len(self._data)} bytes, wanted at least {end}"
            raise ModelError(f"{self._where} {found}: it is truncated or damaged; fetch it again")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def numbers(self, form: str) -> tuple[int, ...]:
        """The next numbers, in the format of `struct`, little endian."""
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def number(self, form: str) -> int:
        """The next number, in the format of `struct`."""
        return self.numbers(form)[0]

    def string(self) -> str:
        """The next name. Raises `ModelError` when it is not UTF-8."""
        try:
            return bytes(self.take(self.number("H"))).rstrip(b"\0").decode("utf-8")
        except UnicodeDecodeError:
            raise ModelError(f"{self._where} is damaged: the name before byte {self._at} is not UTF-8") from None


def read_model(data: memoryview, where: str) -> Ct2Model:
    """The model in the bytes of a `model.bin`; `where` names it in errors.

    Raises `ModelError` for another format or version, and for bytes that end too early or are damaged.
    """
    reader = _Reader(data, where)
    version = reader.number("I")
    if version not in VERSIONS:
        wanted = f"wanted a CTranslate2 model of version {VERSIONS[0]} to {VERSIONS[-1]}"
        raise ModelError(f"{where} begins with version number {version}, {wanted}")
    spec, revision = reader.string(), reader.number("I")
    tensors = dict(_read_tensor(reader, where) for _ in range(reader.number("I")))
    for _ in range(reader.number("I")):
        alias, name = reader.string(), reader.string()
        tensors[alias] = _get(tensors, name, where)
        if (scale := tensors.get(f"{name}_scale")) is not None:  # an alias has the scale of its tensor
            tensors[f"{alias}_scale"] = scale
    return Ct2Model(spec, revision, tensors)


def _read_tensor(reader: _Reader, where: str) -> tuple[str, torch.Tensor]:
    name = reader.string()
    shape = reader.numbers(f"{reader.number('B')}I")
    kind, n_bytes = reader.number("B"), reader.number("I")
    if kind >= len(DTYPES):
        raise ModelError(f"{where}: {name} has type number {kind}, wanted 0 to {len(DTYPES) - 1}")
    # The copy is for alignment (tensors begin at any byte) and lets the file be closed.
    flat = torch.frombuffer(bytearray(reader.take(n_bytes)), dtype=torch.uint8).view(DTYPES[kind])
    try:
        return name, flat.view(shape)
    except RuntimeError:
        raise ModelError(f"{where} is damaged: {name} has {flat.numel()} values for the shape {shape}") from None


def _get(tensors: Mapping[str, torch.Tensor], name: str, where: str) -> torch.Tensor:
    try:
        return tensors[name]
    except KeyError:
        raise ModelError(f"{where} has no tensor {name}; wanted a complete Whisper model") from None


def dequantise(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Floats for every quantised tensor, which has a `_scale` beside it. The scales are dropped.

    CTranslate2 stores `round(weight * scale)`, with one scale a row (int8) or one for all (int16). Float16 is enough
    for the quotient: its rounding is eight times finer than int8's step at full scale.
    """
    floats: Tensors = {}
    for name, tensor in tensors.items():
        if name.endswith("_scale") and name.removesuffix("_scale") in tensors:
            continue
        scale = tensors.get(f"{name}_scale")
        floats[name] = tensor if scale is None or tensor.is_floating_point() else _divide(tensor, scale)
    return floats


def _divide(tensor: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    per_row = scale.float().reshape(-1, *[1] * (tensor.dim() - 1))  # (rows, 1, ...) or (1, 1, ...)
    return (tensor.float() / per_row).half()


def whisper_model(data: memoryview, where: str) -> tuple[Tensors, dict[str, Any]]:
    """Tensors under the names of Transformers' `WhisperForConditionalGeneration`, and its configuration's fields.

    Raises `ModelError` for another architecture, and in the cases of `read_model`.
    """
    model = read_model(data, where)
    if model.spec != "WhisperSpec":
        raise ModelError(f"{where} holds a {model.spec} model, wanted a WhisperSpec (Whisper) model")
    if model.revision != WHISPER_REVISION:
        raise ModelError(
            f"{where} has WhisperSpec revision {model.revision}, wanted {WHISPER_REVISION}; convert it again"
        )
    source = _Source(dequantise(model.tensors), where)
    tensors = dict(_encoder(source)) | dict(_decoder(source))
    return without_tied(tensors, where), _config(source)


class _Source:
    """Tensors by their CTranslate2 names, with the steps of the renaming below."""

    def __init__(self, tensors: Tensors, where: str) -> None:
        self.tensors = tensors
        self.where = where

    def __getitem__(self, name: str) -> torch.Tensor:
        return _get(self.tensors, name, self.where)

    def layers(self, part: str) -> int:
        """The number of layers of the encoder or decoder."""
        n = 0
        while f"{part}/layer_{n}/ffn/linear_0/weight" in self.tensors:
            n += 1
        return n

    def affine(self, old: str, new: str) -> Iterator[tuple[str, torch.Tensor]]:
        """Weight and bias of a linear layer or a convolution."""
        yield f"{new}.weight", self[f"{old}/weight"]
        yield f"{new}.bias", self[f"{old}/bias"]

    def norm(self, old: str, new: str) -> Iterator[tuple[str, torch.Tensor]]:
        """Weight and bias of a layer norm."""
        yield f"{new}.weight", self[f"{old}/gamma"]
        yield f"{new}.bias", self[f"{old}/beta"]

    def stacked(self, old: str, new: str, parts: str) -> Iterator[tuple[str, torch.Tensor]]:
        """Several projections that are stored as one matrix: "qkv" in self-attention, "kv" in cross-attention.

        Raises `ModelError` for a bias of the keys.
        """
        weights = self[f"{old}/weight"].chunk(len(parts))
        biases = self[f"{old}/bias"].chunk(len(parts))
        for part, weight, bias in zip(parts, weights, biases, strict=True):
            yield f"{new}.{part}_proj.weight", weight
            if part != "k":
                yield f"{new}.{part}_proj.bias", bias
            elif bias.any():  # Transformers' Whisper has no bias of the keys (it cancels in the softmax)
                raise ModelError(f"{self.where}: {old}/bias has a bias for the keys, wanted zeros as in Whisper")


def _self_attention_and_ffn(source: _Source, old: str, new: str) -> Iterator[tuple[str, torch.Tensor]]:
    yield from source.stacked(f"{old}/self_attention/linear_0", f"{new}.self_attn", "qkv")
    yield from source.affine(f"{old}/self_attention/linear_1", f"{new}.self_attn.out_proj")
    yield from source.norm(f"{old}/self_attention/layer_norm", f"{new}.self_attn_layer_norm")
    yield from source.affine(f"{old}/ffn/linear_0", f"{new}.fc1")
    yield from source.affine(f"{old}/ffn/linear_1", f"{new}.fc2")
    yield from source.norm(f"{old}/ffn/layer_norm", f"{new}.final_layer_norm")


def _encoder(source: _Source) -> Iterator[tuple[str, torch.Tensor]]:
    yield from source.affine("encoder/conv1", "model.encoder.conv1")
    yield from source.affine("encoder/conv2", "model.encoder.conv2")
    yield "model.encoder.embed_positions.weight", source["encoder/position_encodings/encodings"]
    yield from source.norm("encoder/layer_norm", "model.encoder.layer_norm")
    for i in range(source.layers("encoder")):
        yield from _self_attention_and_ffn(source, f"encoder/layer_{i}", f"model.encoder.layers.{i}")


def _decoder(source: _Source) -> Iterator[tuple[str, torch.Tensor]]:
    yield "model.decoder.embed_tokens.weight", source["decoder/embeddings/weight"]
    yield "proj_out.weight", source["decoder/projection/weight"]
    yield "model.decoder.embed_positions.weight", source["decoder/position_encodings/encodings"]
    yield from source.norm("decoder/layer_norm", "model.decoder.layer_norm")
    for i in range(source.layers("decoder")):
        old, new = f"decoder/layer_{i}", f"model.decoder.layers.{i}"
        yield from _self_attention_and_ffn(source, old, new)
        yield from source.affine(f"{old}/attention/linear_0", f"{new}.encoder_attn.q_proj")
        yield from source.stacked(f"{old}/attention/linear_1", f"{new}.encoder_attn", "kv")
        yield from source.affine(f"{old}/attention/linear_2", f"{new}.encoder_attn.out_proj")
        yield from source.norm(f"{old}/attention/layer_norm", f"{new}.encoder_attn_layer_norm")


def _config(source: _Source) -> dict[str, Any]:
    d_model, n_mels, _ = source["encoder/conv1/weight"].shape
    return {
        "d_model": d_model,
        "num_mel_bins": n_mels,
        "encoder_layers": source.layers("encoder"),
        "decoder_layers": source.layers("decoder"),
        "encoder_attention_heads": int(source["encoder/num_heads"]),
        "decoder_attention_heads": int(source["decoder/num_heads"]),
        "encoder_ffn_dim": source["encoder/layer_0/ffn/linear_0/weight"].shape[0],
        "decoder_ffn_dim": source["decoder/layer_0/ffn/linear_0/weight"].shape[0],
        "max_source_positions": source["encoder/position_encodings/encodings"].shape[0],
        "max_target_positions": source["decoder/position_encodings/encodings"].shape[0],
        "vocab_size": source["decoder/embeddings/weight"].shape[0],
    }
