"""Warping against the textbook recursion, the median against numpy's."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from asr.models.whisper.word_times import _median, _warp, at_pauses, word_starts


def textbook(cost: np.ndarray) -> np.ndarray:
    """The first frame of each row on the cheapest path, by the recursion cell by cell (Sakoe & Chiba 1978)."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            total[i, j] = cost[i - 1, j - 1] + min(total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
    return total


@settings(deadline=None, max_examples=60)
@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 12)), elements=st.floats(-3, 3, width=16)))
def test_the_path_costs_as_little_as_the_textbooks(cost: np.ndarray) -> None:
    """The path with these starts costs as little as the recursion's optimum."""
    starts = _warp(cost)
    assert starts[0] == 0
    assert (np.diff(starts) >= 0).all()
    rows, columns = cost.shape
    ends = [*starts[1:], columns]
    best = textbook(cost)[rows, columns]
    found = 0.0
    for i in range(rows):
        stop = max(ends[i], starts[i] + 1)  # a row holds at least one frame, shared with the next where it must
        run = cost[i, starts[i] : stop]
        shared = cost[i, stop] if i + 1 < rows and stop < columns and stop == ends[i] else np.inf
        found += run.sum() + min(0.0, shared)
    assert found <= best + 1e-6 or np.isclose(found, best, atol=1e-6)


def test_a_diagonal_of_attention_gives_its_own_times() -> None:
    """Tokens that look at frames 0-4, 5-9, 10-14 begin there."""
    attention = torch.full((2, 3, 15), 0.01)
    for token in range(3):
        attention[:, token, 5 * token : 5 * token + 5] = 1.0
    assert word_starts(attention).tolist() == [0, 5, 10, 15]


@settings(deadline=None, max_examples=40)
@given(arrays.arrays(np.float32, (2, 3, 20), elements=st.floats(-5, 5, width=16)))
def test_the_sorting_network_gives_the_median(x: np.ndarray) -> None:
    """Of seven neighbours, edges mirrored."""
    padded = np.pad(x, ((0, 0), (0, 0), (3, 3)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 7, axis=-1)
    np.testing.assert_array_equal(_median(torch.from_numpy(x)).numpy(), np.median(windows, axis=-1))


def test_words_are_put_to_the_edges_of_the_pause_between_them() -> None:
    """One word ends where the pause begins, the next begins where it ends; a pause inside a word changes nothing."""
    starts, ends = [0.0, 1.0, 2.0], [1.0, 2.0, 3.0]
    assert at_pauses(starts, ends, [(0.5, 0.9)]) == [(0.0, 0.5), (0.9, 2.0), (2.0, 3.0)]
    assert at_pauses(starts, ends, [(1.2, 1.5), (2.6, 3.5)]) == [(0.0, 1.0), (1.0, 2.0), (2.0, 2.6)]
    assert at_pauses(starts, ends, []) == list(zip(starts, ends, strict=True))
