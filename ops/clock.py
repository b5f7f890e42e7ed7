"""Times of rows that were written while a clock was wrong."""

import numpy as np

SKEW_S = 60.0
"""Clocks of a server and a monitor may differ so much."""


def is_ahead(at_s: np.ndarray | float, now_s: float) -> np.ndarray:
    """Whether a row with this time was written by a clock that was ahead."""
    return np.asarray(at_s) > now_s + SKEW_S


def steady(at_s: np.ndarray, now_s: float) -> np.ndarray:
    """Times ``(T,)`` of rows in the order in which they were written, mended so that they never fall.

    A time behind that of an earlier row is raised to it. One after ``now_s`` says nothing: it becomes that of the next
    row, and ``now_s`` where none follows. Otherwise one such row would hold up all later ones until its time has come.
    """
    wrong = is_ahead(at_s, now_s)
    times = np.where(wrong, np.inf, np.maximum.accumulate(np.where(wrong, -np.inf, at_s)))
    times = np.minimum.accumulate(times[::-1])[::-1]
    return np.maximum.accumulate(np.where(np.isinf(times), now_s, times))
