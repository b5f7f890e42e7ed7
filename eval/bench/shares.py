"""How often something happened in many simulated worlds, with exact intervals, as tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.metrics.few_speakers import binomial_bounds


@dataclass(frozen=True, slots=True)
class Share:
    """How often something happened: ``count`` of ``of`` worlds."""

    count: int
    of: int

    @property
    def percent(self) -> float:
        return 100 * self.count / self.of

    def bounds(self, level: float = 0.95) -> tuple[float, float]:
        """Clopper and Pearson's exact interval, in per cent."""
        low, high = binomial_bounds(self.count, self.of, (1 - level) / 2)
        return 100 * low, 100 * high

    def __str__(self) -> str:
        low, high = self.bounds()
        return f"{self.percent:.1f} ({low:.1f} to {high:.1f})"


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one kind of world, by the name of the column."""

    world: str
    shares: dict[str, Share]


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table, with exact 95 % intervals."""
    columns = list(dict.fromkeys(name for result in results for name in result.shares))
    rows = [f"| world | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for result in results:
        cells = (str(result.shares[name]) if name in result.shares else "not given" for name in columns)
        rows.append(f"| {result.world} | {' | '.join(cells)} |")
    return "\n".join(rows)
