"""Word times from attention: dynamic time warping over the alignment heads.

As in Whisper's own word timestamps (openai/whisper, ``timing.py``; Giorgino 2009 for the warping): each head's
attention is normalised over the tokens, smoothed by a median over 7 frames, the heads averaged, and the cheapest
monotone path through tokens and frames tells where each token begins.
"""

from collections.abc import Sequence

import numpy as np
import torch

from asr.config import SHORTEST_PAUSE_S

Span = tuple[float, float]
LONGEST_ONSET_S = 0.26
"""An alignment marks a word's beginning up to so late."""
_LEAST_WORD_S = 0.03
_CACHED_VALUES = 100_000
"""So many values at once stay in a core's cache through the sorting network: a third of the time for long windows."""

_NETWORK = ((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4))
"""Exchanges that bring the median of seven into the middle (Devillard 1998, "Fast median search")."""


def word_starts(attention: torch.Tensor) -> np.ndarray:
    """Attention ``(heads, tokens, frames)`` -> the frame where each token begins ``(tokens + 1,)``.

    The last entry is where the last token's frames end.
    """
    _, tokens, frames = attention.shape
    weights = attention / attention.sum(-1, keepdim=True).clamp_min(1e-12)
    if tokens > 1:
        weights = weights - weights.mean(1, keepdim=True)
        weights /= weights.square().mean(1, keepdim=True).sqrt_().clamp_min_(1e-12)
    cached = max(1, _CACHED_VALUES // weights[0].numel())
    smoothed = torch.cat([_median(heads) for heads in weights.split(cached)])
    starts = _warp(-smoothed.mean(0).numpy())
    return np.append(starts, frames)


def at_pauses(starts_s: Sequence[float], ends_s: Sequence[float], pauses: Sequence[Span]) -> list[Span]:
    """Words put to the edges of the pauses between them: an alignment counts a pause as part of the word before it.

    A pause counts where it lies inside a word but for the `LONGEST_ONSET_S` before the word's end.
    """
    spans = list(zip(starts_s, ends_s, strict=True))
    for i, (start_s, end_s) in enumerate(spans):
        inside = [(max(a, start_s + _LEAST_WORD_S), min(b, end_s)) for a, b in pauses]
        behind = [(a, b) for a, b in inside if b - a > SHORTEST_PAUSE_S and end_s - b <= LONGEST_ONSET_S]
        if not behind:
            continue
        spans[i] = (start_s, behind[-1][0])
        if i + 1 < len(spans):
            spans[i + 1] = (min(behind[-1][1], spans[i + 1][0]), spans[i + 1][1])
    return spans


def _median(x: torch.Tensor) -> torch.Tensor:
    """The median of 7 neighbours along the last dimension, by a sorting network: 20 times `Tensor.median` here."""
    if x.shape[-1] <= 3:
        return x
    padded = torch.nn.functional.pad(x, (3, 3), mode="reflect")
    lanes = [padded[..., i : i + x.shape[-1]] for i in range(7)]
    for low, high in _NETWORK:
        lanes[low], lanes[high] = torch.minimum(lanes[low], lanes[high]), torch.maximum(lanes[low], lanes[high])
    return lanes[3]


def _warp(cost: np.ndarray) -> np.ndarray:
    """The first frame of each row on the cheapest monotone path through ``cost (tokens, frames)``.

    The recursion ``D[i, j] = c[i, j] + min(D[i-1, j-1], D[i-1, j], D[i, j-1])`` runs a row at a time: walking along a
    row is a cumulative sum, so the best place to enter it is a running minimum.
    """
    tokens, frames = cost.shape
    entered = np.zeros((tokens, frames), np.int64)  # where the best path to (i, j) entered row i
    diagonal = np.zeros((tokens, frames), bool)  # and whether it came there from (i-1, j-1) rather than (i-1, j)
    before = np.full(frames + 1, np.inf)  # D[i-1, -1], D[i-1, 0], ...
    before[0] = 0.0
    for i in range(tokens):
        diagonal[i] = before[:-1] <= before[1:]
        entry = np.where(diagonal[i], before[:-1], before[1:])
        along = np.cumsum(cost[i], dtype=np.float64)
        reach = entry - (along - cost[i])
        best = np.minimum.accumulate(reach)
        fresh = np.where(reach == best, np.arange(frames), 0)
        entered[i] = np.maximum.accumulate(fresh)
        before = np.concatenate([[np.inf], best + along])
    starts = np.zeros(tokens, np.int64)
    j = frames - 1
    for i in range(tokens - 1, -1, -1):
        starts[i] = j = entered[i, j]
        j = j - 1 if diagonal[i, j] else j
    return starts
