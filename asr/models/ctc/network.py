"""wav2vec 2.0, HuBERT and WavLM with a CTC output, over utterances that grow, batched.

Each frame of the convolutions is computed once. In the transformer a frame is *active* until it has heard `right` more
frames; until then it is computed again with each chunk, then it is settled: its keys and values in each layer stay, and
its log-probabilities are final. The last `left` settled frames are what active ones still attend to. With `right` and
`left` as long as the recording, or in one call over all of it, this is the published network (Baevski et al. 2020; Hsu
et al. 2021; Chen et al. 2022 for the gated relative position bias).

Rows of several streams go through each matrix together; attention is a stream's own, so nobody sees a neighbour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from asr.models.ctc.feature_encoder import Heard, Waveform
from asr.models.layers import attention_weights, stacked
from asr.models.linear import Linear, make_linear

Norm = tuple[torch.Tensor, torch.Tensor, float]
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class StreamState:
    """What the network remembers of an utterance.

    ``lead``: projected features ``(p, width)`` of settled frames that the positional convolution still sees;
    ``active``: those of the frames that are not settled; per layer keys and values ``(H, n, D)`` of settled frames.
    """

    heard: Heard = field(default_factory=Heard)
    lead: torch.Tensor | None = None
    active: torch.Tensor | None = None
    keys: tuple[torch.Tensor, ...] = ()
    values: tuple[torch.Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Log-probabilities ``(n, V)`` of the active frames, the first ``settled`` of them final; ``consumed`` samples."""

    logprobs: torch.Tensor
    settled: int
    consumed: int
    state: StreamState


@dataclass(frozen=True, slots=True)
class _Gate:
    """WavLM's: how much a query cares for distances."""

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


class Wav2Vec2:
    """One model's network. All methods are pure functions of their arguments."""

    def __init__(
        self, tensors: Tensors, config: dict[str, Any], *, normalise: bool, precision: str = "float32"
    ) -> None:
        self.precision = precision
        self.waveform = Waveform(tensors, config, normalise)
        self.classes = int(config["vocab_size"])
        self._heads = int(config["num_attention_heads"])
        self._stable = bool(config.get("do_stable_layer_norm", False))
        self._eps = float(config.get("layer_norm_eps", 1e-5))
        name = str(config["model_type"])
        self._projection_norm = self._norm(tensors, f"{name}.feature_projection.layer_norm", optional=True)
        # The projection's input has a great range: in int8 it would cost more than it saves.
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
    ) -> list[Step]:
        """New samples ``(n,)`` of some streams, each from its next frame's first sample on; its contexts in frames."""
        fresh = [self.waveform.extend(samples, state.heard) for samples, state in zip(windows, states, strict=True)]
        actives = [self._with_new(state, frames) for state, (frames, _, _) in zip(states, fresh, strict=True)]
        hidden, keys, values = self._transform(actives, states)
        logits = self._head(hidden).log_softmax(-1).split([len(a) for a in actives])
        steps = []
        for i, (state, active, (_, consumed, heard)) in enumerate(zip(states, actives, fresh, strict=True)):
            settled = max(0, len(active) - rights[i])
            kept = _Kept(settled, lefts[i], keys[i], values[i])
            lead = active[:settled] if state.lead is None else torch.cat([state.lead, active[:settled]])
            after = StreamState(
                heard,
                lead[-self._positions.before :] if self._positions.before else None,
                active[settled:],
                kept.of(kept.keys, len(active)),
                kept.of(kept.values, len(active)),
            )
            steps.append(Step(logits[i], settled, consumed, after))
        return steps

    def _with_new(self, state: StreamState, frames: torch.Tensor) -> torch.Tensor:
        """The active frames' projected features ``(n, width)``, new ones behind."""
        x = frames if self._projection_norm is None else _layer_norm(frames, self._projection_norm)
        projected = self._project(x)
        return projected if state.active is None else torch.cat([state.active, projected])

    def _transform(
        self, actives: Sequence[torch.Tensor], states: Sequence[StreamState]
    ) -> tuple[torch.Tensor, list[list[torch.Tensor]], list[list[torch.Tensor]]]:
        """Hidden rows of all streams ``(sum n, width)``; per stream and layer keys and values of all frames known."""
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

    def _bias(self, layer: _Layer, queries: torch.Tensor, known: int) -> torch.Tensor | None:
        """WavLM's gated bias ``(1, H, n, known)`` of queries that are the last of the known frames."""
        if layer.gate is None or self._distances is None:
            return None
        by_head = queries.unflatten(-1, (self._heads, -1)).transpose(0, 1)  # (H, n, D)
        gates = F.linear(by_head, layer.gate.weight, layer.gate.bias).unflatten(-1, (2, 4)).sum(-1).sigmoid()
        gate = gates[..., :1] * (gates[..., 1:] * layer.gate.constant - 1.0) + 2.0  # (H, n, 1)
        bias: torch.Tensor = gate * self._distances.bias(len(queries), known)
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
        """A norm; None where it may be missing and is."""
        return None if optional and f"{name}.weight" not in tensors else self._needed(tensors, name)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The keys and values that stay after a step: of the last `left` settled frames."""

    settled: int
    left: int
    keys: list[torch.Tensor]
    values: list[torch.Tensor]

    def of(self, layers: Sequence[torch.Tensor], active: int) -> tuple[torch.Tensor, ...]:
        known = layers[0].shape[1] - active + self.settled
        return tuple(layer[:, max(0, known - self.left) : known] for layer in layers)


class _Positions:
    """The positional convolution: a frame's neighbourhood, added to it."""

    def __init__(self, tensors: Tensors, config: dict[str, Any]) -> None:
        name = f"{config['model_type']}.encoder.pos_conv_embed"
        self._weight = _unnormed(tensors, f"{name}.conv")
        self._bias = tensors[f"{name}.conv.bias"].float()
        self._groups = int(config["num_conv_pos_embedding_groups"])
        kernel = int(config["num_conv_pos_embeddings"])
        self.before = kernel // 2
        self._behind = kernel - 1 - self.before
        self._scale, self._shift = _batch_norm(tensors, f"{name}.batch_norm", len(self._bias))

    def add(self, active: torch.Tensor, lead: torch.Tensor | None) -> torch.Tensor:
        """Active frames ``(n, width)`` behind ``lead`` -> with their positions' embedding; zeros where nothing is."""
        if not len(active):
            return active
        known = active if lead is None else torch.cat([lead, active])
        missing = self.before - (0 if lead is None else len(lead))
        x = (known * self._scale + self._shift).t()[None]  # (1, width, n)
        y = F.conv1d(F.pad(x, (missing, self._behind)), self._weight, self._bias, groups=self._groups)
        return active + F.gelu(y)[0].t()


class _Distances:
    """WavLM's bias by relative position, in buckets that widen (after Raffel et al. 2020, T5)."""

    def __init__(self, embedding: torch.Tensor, buckets: int, furthest: int) -> None:
        self._embedding, self._buckets, self._furthest = embedding, buckets // 2, furthest

    def bias(self, queries: int, known: int) -> torch.Tensor:
        """``(H, queries, known)``, the queries being the last of the known."""
        distance = torch.arange(known)[None] - torch.arange(known - queries, known)[:, None]
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
    """A convolution's weight; where it is stored as direction and length a tap, their product."""
    for length, direction in (
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
        ("weight_g", "weight_v"),
    ):
        if f"{name}.{length}" in tensors:
            v = tensors[f"{name}.{direction}"].float()
            whole: torch.Tensor = v * (tensors[f"{name}.{length}"].float() / v.norm(dim=(0, 1), keepdim=True))
            return whole
    return tensors[f"{name}.weight"].float()


def _batch_norm(tensors: Tensors, name: str, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Some HuBERT models normalise before the positional convolution: as a scale and a shift."""
    if f"{name}.weight" not in tensors:
        return torch.ones(width), torch.zeros(width)
    scale = tensors[f"{name}.weight"].float() * (tensors[f"{name}.running_var"].float() + 1e-5).rsqrt()
    return scale, tensors[f"{name}.bias"].float() - tensors[f"{name}.running_mean"].float() * scale


def _linear(tensors: Tensors, name: str, precision: str) -> Linear:
    return make_linear(tensors[f"{name}.weight"], tensors.get(f"{name}.bias"), precision, rowwise=True)


def _layer_norm(x: torch.Tensor, norm: Norm) -> torch.Tensor:
    return F.layer_norm(x, norm[0].shape, norm[0], norm[1], norm[2])
