"""Statistics of a set."""

import numpy as np

from eval.audit.statistics import distribution


def test_a_distribution_is_numpys() -> None:
    """Over the known values only; all None if there are none."""
    found = distribution([1.0, None, 2.0, 3.0, 4.0])
    assert (found.count, found.mean, found.p50, found.least, found.most) == (4, 2.5, 2.5, 1.0, 4.0)
    assert (found.p5, found.p95) == tuple(np.percentile([1, 2, 3, 4], (5, 95)))
    assert distribution([None]).mean is None
