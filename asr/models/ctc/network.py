"""wav2vec 2.0, HuBERT and WavLM with a CTC output, over utterances that grow, batched.

Each frame of the convolutions is computed once. In the transformer a frame is *active* until `right` more frames have
followed it; it is computed again with each chunk. Then it is *settled*: its log-probabilities are final, and its keys
and values in each layer are kept. Active frames attend to the last `left` settled ones.

With `right` and `left` as long as the recording, or in one call over all of it, this is the published network (Baevski
et al. 2020; Hsu et al. 2021; Chen et al. 2022 for the gated relative position bias).

The rows of all streams are multiplied by each matrix together. Attention is computed for each stream alone, so no
stream sees another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from asr.models.ctc.feature_encoder import FeatureEncoder, RunningSums
from asr.models.layers import attention_weights, stacked
from asr.models.linear import Linear, make_linear

Norm = tuple[torch.Tensor, torch.Tensor, float]
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class StreamState:
    """What the network keeps of an utterance between two steps.

    ``sums``: the feature encoder's. ``lead``: projected features ``(p, width)`` of the settled frames that the
    positional convolution still sees; ``active``: those of the active frames. ``keys`` and ``values``: by layer, of the
    settled frames, ``(H, n, D)``.
    """

    sums: RunningSums = field(default_factory=RunningSums)
    lead: torch.Tensor | None = None
    active: torch.Tensor | None = None
    keys: tuple[torch.Tensor, ...] = ()
    values: tuple[torch.Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class StepOutput:
    """The result of one step for one stream.

    ``logprobs``: log-probabilities ``(n, V)`` of the active frames, on the CPU; the first ``settled`` are final.
    ``consumed``: samples that are not needed again; the next step's samples begin behind them.
    """

    logprobs: torch.Tensor
    settled: int
    consumed: int
    state: StreamState


@dataclass(frozen=True, slots=True)
class _Gate:
    """WavLM's gate: the weight of the relative position bias, computed from the query."""

    weight: torch.Tensor
    bias: torch.Tensor
    constant: torch.Tensor


@dataclass(frozen=True, slots=True)
class _Layer:
    query_key_value: Linear
    out: Linear
    norm: Norm
    up: Linear
    down: Linear
    final_norm: Norm
    gate: _Gate | None


class CtcNetwork:
    """One model's network. Stateless: `step` takes and returns the state of each stream."""

    def __init__(
        self, tensors: Tensors, config: dict[str, Any], *, normalise: bool, precision: str = "float32"
    ) -> None:
        self.precision = precision
        self.encoder = FeatureEncoder(tensors, config, normalise)
        self.classes = int(config["vocab_size"])
        self._heads = int(config["num_attention_heads"])
        self._stable = bool(config.get("do_stable_layer_norm", False))
        self._eps = float(config.get("layer_norm_eps", 1e-5))
        name = str(config["model_type"])
        self._projection_norm = self._norm(tensors, f"{name}.feature_projection.layer_norm", optional=True)
        # float32: the projection's input has a wide range, and int8 would lose more accuracy than the time is worth.
        self._project = _linear(tensors, f"{name}.feature_projection.projection", "float32")
        self._positions = _Positions(tensors, config)
        self._norm_all = self._norm(tensors, f"{name}.encoder.layer_norm")
        layers = range(int(config["num_hidden_layers"]))
        self._layers = [self._layer(tensors, f"{name}.encoder.layers.{i}", precision) for i in layers]
        self._distances = _distances(tensors, config)
        self._head = _linear(tensors, "lm_head", "float32")

    @torch.inference_mode()
    def step(
        self, windows: Sequence[np.ndarray], states: Sequence[StreamState], rights: Sequence[int], lefts: Sequence[int]
    ) -> list[StepOutput]:
        """Advance several streams by their new audio.

        `windows`: samples ``(n,)`` of each stream, from the first sample of its next frame on. `rights` and `lefts`:
        each stream's right and left context in frames.
        """
        encoded = [self.encoder.extend(samples, state.sums) for samples, state in zip(windows, states, strict=True)]
        actives = [self._with_new(state, frames) for state, (frames, _, _) in zip(states, encoded, strict=True)]
        hidden, keys, values = self._transform(actives, states)
        logits = self._head(hidden).log_softmax(-1).cpu().split([len(a) for a in actives])
        outputs = []
        for i, (state, active, (_, consumed, sums)) in enumerate(zip(states, actives, encoded, strict=True)):
            settled = max(0, len(active) - rights[i])
            lead = active[:settled] if state.lead is None else torch.cat([state.lead, active[:settled]])
            after = StreamState(
                sums,
                lead[-self._positions.before :] if self._positions.before else None,
                active[settled:],
                _last_settled(keys[i], len(active) - settled, lefts[i]),
                _last_settled(values[i], len(active) - settled, lefts[i]),
            )
            outputs.append(StepOutput(logits[i], settled, consumed, after))
        return outputs

    def _with_new(self, state: StreamState, frames: torch.Tensor) -> torch.Tensor:
        """The projected features ``(n, width)`` of the active frames, the new ones last."""
        x = frames if self._projection_norm is None else _layer_norm(frames, self._projection_norm)
        projected = self._project(x)
        return projected if state.active is None else torch.cat([state.active, projected])

    def _transform(
        self, actives: Sequence[torch.Tensor], states: Sequence[StreamState]
    ) -> tuple[torch.Tensor, list[list[torch.Tensor]], list[list[torch.Tensor]]]:
        """Hidden rows of all streams ``(sum n, width)``; by stream and layer the keys and values of all its frames."""
        sizes = [len(active) for active in actives]
        x = torch.cat([self._positions.add(a, s.lead) for a, s in zip(actives, states, strict=True)])
        if not self._stable:
            x = _layer_norm(x, self._norm_all)
        keys: list[list[torch.Tensor]] = [[] for _ in actives]
        values: list[list[torch.Tensor]] = [[] for _ in actives]
        for i, layer in enumerate(self._layers):
            y = _layer_norm(x, layer.norm) if self._stable else x
            outs = []
            for j, (row, part) in enumerate(zip(layer.query_key_value(y).split(sizes), y.split(sizes), strict=True)):
                q, k, v = row.unflatten(-1, (3, self._heads, -1)).permute(1, 2, 0, 3).unbind(0)  # (H, n, D)
                if states[j].keys:
                    k, v = torch.cat([states[j].keys[i], k], 1), torch.cat([states[j].values[i], v], 1)
                keys[j].append(k)
                values[j].append(v)
                bias = self._bias(layer, part, k.shape[1])
                z = F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=bias, scale=1.0)[0]
                outs.append(z.transpose(0, 1).flatten(1))
            x = x + layer.out(torch.cat(outs))
            if self._stable:
                x = x + layer.down(F.gelu(layer.up(_layer_norm(x, layer.final_norm))))
            else:
                x = _layer_norm(x, layer.norm)
                x = _layer_norm(x + layer.down(F.gelu(layer.up(x))), layer.final_norm)
        return _layer_norm(x, self._norm_all) if self._stable else x, keys, values

    def _bias(self, layer: _Layer, queries: torch.Tensor, frames: int) -> torch.Tensor | None:
        """WavLM's gated position bias ``(1, H, n, frames)``; the queries ``(n, width)`` are the last of the frames."""
        if layer.gate is None or self._distances is None:
            return None
        by_head = queries.unflatten(-1, (self._heads, -1)).transpose(0, 1)  # (H, n, D)
        gates = F.linear(by_head, layer.gate.weight, layer.gate.bias).unflatten(-1, (2, 4)).sum(-1).sigmoid()
        gate = gates[..., :1] * (gates[..., 1:] * layer.gate.constant - 1.0) + 2.0  # (H, n, 1)
        bias: torch.Tensor = gate * self._distances.bias(len(queries), frames)
        return bias[None]

    def _layer(self, tensors: Tensors, name: str, precision: str) -> _Layer:
        query_key_value = stacked(*attention_weights(tensors, f"{name}.attention", self._heads), "qkv")
        gate = None
        if f"{name}.attention.gru_rel_pos_const" in tensors:
            linear = f"{name}.attention.gru_rel_pos_linear"
            constant = tensors[f"{name}.attention.gru_rel_pos_const"].float()[0]  # (H, 1, 1)
            gate = _Gate(tensors[f"{linear}.weight"].float(), tensors[f"{linear}.bias"].float(), constant)
        return _Layer(
            query_key_value=make_linear(*query_key_value, precision, rowwise=True),
            out=_linear(tensors, f"{name}.attention.out_proj", precision),
            norm=self._needed(tensors, f"{name}.layer_norm"),
            up=_linear(tensors, f"{name}.feed_forward.intermediate_dense", precision),
            down=_linear(tensors, f"{name}.feed_forward.output_dense", precision),
            final_norm=self._needed(tensors, f"{name}.final_layer_norm"),
            gate=gate,
        )

    def _needed(self, tensors: Tensors, name: str) -> Norm:
        return tensors[f"{name}.weight"].float(), tensors[f"{name}.bias"].float(), self._eps

    def _norm(self, tensors: Tensors, name: str, optional: bool = False) -> Any:
        """A norm; None if it is optional and missing."""
        return None if optional and f"{name}.weight" not in tensors else self._needed(tensors, name)


def _last_settled(layers: Sequence[torch.Tensor], active: int, left: int) -> tuple[torch.Tensor, ...]:
    """By layer, of keys or values ``(H, n, D)`` whose last `active` frames are not settled, the last `left` others."""
    settled = layers[0].shape[1] - active
    return tuple(layer[:, max(0, settled - left) : settled] for layer in layers)


class _Positions:
    """The positional convolution: each frame gets its neighbourhood added."""

    def __init__(self, tensors: Tensors, config: dict[str, Any]) -> None:
        name = f"{config['model_type']}.encoder.pos_conv_embed"
        self._weight = _unnormed(tensors, f"{name}.conv")
        self._bias = tensors[f"{name}.conv.bias"].float()
        self._groups = int(config["num_conv_pos_embedding_groups"])
        kernel = int(config["num_conv_pos_embeddings"])
        self.before = kernel // 2
        self._behind = kernel - 1 - self.before
        self._scale, self._shift = _batch_norm(tensors, f"{name}.batch_norm", self._bias)

    def add(self, active: torch.Tensor, lead: torch.Tensor | None) -> torch.Tensor:
        """Active frames ``(n, width)`` after the frames ``lead`` ``(p, width)``, with their position embedding added.

        Beyond both ends there are zeros.
        """
        if not len(active):
            return active
        frames = active if lead is None else torch.cat([lead, active])
        missing = self.before - (0 if lead is None else len(lead))
        x = (frames * self._scale + self._shift).t()[None]  # (1, width, n)
        y = F.conv1d(F.pad(x, (missing, self._behind)), self._weight, self._bias, groups=self._groups)
        return active + F.gelu(y)[0].t()


class _Distances:
    """WavLM's bias by relative position, in buckets that grow with the distance (after Raffel et al. 2020, T5)."""

    def __init__(self, embedding: torch.Tensor, buckets: int, furthest: int) -> None:
        self._embedding, self._buckets, self._furthest = embedding, buckets // 2, furthest

    def bias(self, queries: int, frames: int) -> torch.Tensor:
        """The bias ``(H, queries, frames)`` of queries that are the last of the frames."""
        steps = torch.arange(frames, device=self._embedding.device)
        distance = steps[None] - steps[frames - queries :, None]
        return self._embedding[self._bucket(distance)].permute(2, 0, 1)

    def _bucket(self, distance: torch.Tensor) -> torch.Tensor:
        exact = self._buckets // 2
        far = distance.abs().clamp_min(1).float() / exact
        wide = exact + (far.log() / math.log(self._furthest / exact) * (self._buckets - exact)).long()
        near = torch.where(distance.abs() < exact, distance.abs(), wide.clamp_max(self._buckets - 1))
        return near + (distance > 0).long() * self._buckets


def _distances(tensors: Tensors, config: dict[str, Any]) -> _Distances | None:
    embedding = tensors.get(f"{config['model_type']}.encoder.layers.0.attention.rel_attn_embed.weight")
    if embedding is None:
        return None
    return _Distances(embedding.float(), int(config["num_buckets"]), int(config["max_bucket_distance"]))


def _unnormed(tensors: Tensors, name: str) -> torch.Tensor:
    """A convolution's weight; with weight norm it is the product of a direction and a length for each tap."""
    for length, direction in (
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
        ("weight_g", "weight_v"),
    ):
        if f"{name}.{length}" in tensors:
            v = tensors[f"{name}.{direction}"].float()
            whole: torch.Tensor = v * (tensors[f"{name}.{length}"].float() / v.norm(dim=(0, 1), keepdim=True))
            return whole
    return tensors[f"{name}.weight"].float()


def _batch_norm(tensors: Tensors, name: str, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift ``(width,)`` of the batch norm that some HuBERT models have before the positional convolution.

    `like`: its bias.
    """
    if f"{name}.weight" not in tensors:
        return torch.ones_like(like), torch.zeros_like(like)
    scale = tensors[f"{name}.weight"].float() * (tensors[f"{name}.running_var"].float() + 1e-5).rsqrt()
    return scale, tensors[f"{name}.bias"].float() - tensors[f"{name}.running_mean"].float() * scale


def _linear(tensors: Tensors, name: str, precision: str) -> Linear:
    return make_linear(tensors[f"{name}.weight"], tensors.get(f"{name}.bias"), precision, rowwise=True)


def _layer_norm(x: torch.Tensor, norm: Norm) -> torch.Tensor:
    return F.layer_norm(x, norm[0].shape, norm[0], norm[1], norm[2])
