"""Small histograms as SVG, drawn without a library so that a page can hold many of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from eval.html.formatting import significant

WIDTH, HEIGHT, BASE = 190, 62, 46
"""Size of the picture and the line on which the bars stand, in pixels; the numbers are written below it."""
BINS = 24


@dataclass(frozen=True, slots=True)
class Scale:
    """The values at the left and right end. Values beyond are counted in the outermost bar."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """The horizontal place of a value, in pixels."""
        share = (value - self.low) / (self.high - self.low)
        return float(np.clip(share, 0, 1)) * WIDTH


def scale_of(values: Sequence[float]) -> Scale:
    """From the 0.5th to the 99.5th percentile, so that one outlier does not press all other values into one bar."""
    if not values:
        return Scale(0, 1)
    low, high = (float(p) for p in np.percentile(values, (0.5, 99.5)))
    low = 0.0 if 0 <= low < high / 3 else low
    return Scale(low, high) if high > low else Scale(low - 0.5, low + 0.5)


def histogram(values: Sequence[float], scale: Scale, unit: str) -> Markup:
    """Bars, the median as a line, and the numbers at both ends."""
    if not values:
        return Markup('<span class="none">not known</span>')
    counts, _ = np.histogram(np.clip(values, scale.low, scale.high), BINS, (scale.low, scale.high))
    middle = float(np.median(values))
    label = f"histogram of {len(values)} values in {unit}, median {significant(middle)}"
    parts = [f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">']
    parts += [_bar(i, count, max(counts)) for i, count in enumerate(counts) if count]
    parts.append(f'<line class="base" x1="0" x2="{WIDTH}" y1="{BASE + 0.5}" y2="{BASE + 0.5}"/>')
    parts.append(f'<line class="median" x1="{scale.x(middle):.1f}" x2="{scale.x(middle):.1f}" y1="0" y2="{BASE}"/>')
    parts += [_label(0, "start", scale.low), _label(WIDTH, "end", scale.high)]
    return Markup("".join([*parts, "</svg>"]))


def _bar(place: int, count: int, most: int) -> str:
    width, height = WIDTH / BINS, max(1.0, (BASE - 4) * count / most)
    return f'<rect x="{place * width:.1f}" y="{BASE - height:.1f}" width="{width - 1:.1f}" height="{height:.1f}"/>'


def _label(x: int, anchor: str, value: float) -> str:
    return f'<text x="{x}" y="{HEIGHT - 3}" text-anchor="{anchor}">{significant(value)}</text>'
