"""Word times from the attention of the alignment heads, by dynamic time warping.

As in Whisper's own word timestamps (openai/whisper, ``timing.py``; Giorgino 2009 for the warping): the attention of
each head is normalised over the tokens and smoothed by a median over 7 frames, the heads are averaged, and a token
begins where the cheapest monotone path through tokens and frames reaches it.
"""

from collections.abc import Sequence

import numpy as np
import torch

from asr.config import SHORTEST_PAUSE_S

Span = tuple[float, float]
LONGEST_ONSET_S = 0.26
"""The alignment may put the beginning of a word this much too late."""
_MIN_WORD_S = 0.03
"""A word keeps at least this much before a pause inside its span."""
_CACHED_VALUES = 100_000
"""This many values fit in a core's cache during the sorting network: three times as fast for long windows."""

_NETWORK = ((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4))
"""Compare-and-swap steps that put the median of seven values in the middle (Devillard 1998, "Fast median search")."""


def word_starts(attention: torch.Tensor) -> np.ndarray:
    """Attention ``(heads, tokens, frames)`` -> the frame where each token begins ``(tokens + 1,)``.

    The last entry is the end of the last token.
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
    """The spans of words, moved to the edges of the pauses between them. All times in seconds.

    The alignment counts a pause as part of the word before it. So a pause inside a word's span that ends at most
    `LONGEST_ONSET_S` before the span does is taken as the pause after that word.
    """
    spans = list(zip(starts_s, ends_s, strict=True))
    for i, (start_s, end_s) in enumerate(spans):
        inside = [(max(a, start_s + _MIN_WORD_S), min(b, end_s)) for a, b in pauses]
        after = [(a, b) for a, b in inside if b - a > SHORTEST_PAUSE_S and end_s - b <= LONGEST_ONSET_S]
        if not after:
            continue
        spans[i] = (start_s, after[-1][0])
        if i + 1 < len(spans):
            spans[i + 1] = (min(after[-1][1], spans[i + 1][0]), spans[i + 1][1])
    return spans


def _median(x: torch.Tensor) -> torch.Tensor:
    """The median of 7 neighbours along the last dimension of ``(..., n)``, edges mirrored.

    By a sorting network, which is 20 times as fast as `Tensor.median` here.
    """
    if x.shape[-1] <= 3:
        return x
    padded = torch.nn.functional.pad(x, (3, 3), mode="reflect")
    lanes = [padded[..., i : i + x.shape[-1]] for i in range(7)]
    for low, high in _NETWORK:
        lanes[low], lanes[high] = torch.minimum(lanes[low], lanes[high]), torch.maximum(lanes[low], lanes[high])
    return lanes[3]


def _warp(cost: np.ndarray) -> np.ndarray:
    """The first frame of each token ``(tokens,)`` on the cheapest monotone path through ``cost`` ``(tokens, frames)``.

    The recursion ``D[i, j] = c[i, j] + min(D[i-1, j-1], D[i-1, j], D[i, j-1])`` is computed one row at a time: the cost
    of moving along a row is a cumulative sum, so the best place to enter the row is a running minimum.
    """
    tokens, frames = cost.shape
    entered = np.zeros((tokens, frames), np.int64)  # where the best path to (i, j) enters row i
    diagonal = np.zeros((tokens, frames), bool)  # whether it comes from (i-1, j-1); else from (i-1, j)
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
