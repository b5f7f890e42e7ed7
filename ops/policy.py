"""The policy of rollouts. Its defaults and their reasons are in `configs/rollout.toml`, and only there."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from asr.config import build, config_dir, read_toml
from asr.errors import ConfigError

MOST_STOP_ALPHA = 0.05
"""Chance of a false stop in a whole rollout."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`configs/rollout.toml` explains each key. Raises `ConfigError` for values that make no sense."""

    allow_points: float
    harm_points: float
    promote_alpha: float
    harm_alpha: float
    watch_alpha: float
    guard_alpha: float
    shadow_share: float
    steps: tuple[float, ...]
    step_clients: int
    max_days: float
    watch_days: float
    unit_minutes: float
    client_hours: float
    fewest_failures: int
    most_failed: float
    fewest_delays: int
    most_delay_s: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            values = getattr(self, field.name)
            for value in values if isinstance(values, tuple) else (values,):
                if not 0 <= value < float("inf"):
                    raise ConfigError(f"{field.name}: found {value}, wanted 0 or more")
        alphas = (self.harm_alpha, self.watch_alpha, self.guard_alpha)
        if min(self.promote_alpha, *alphas) <= 0 or self.promote_alpha >= 1:
            raise ConfigError("promote_alpha, harm_alpha, watch_alpha, guard_alpha: wanted more than 0 and less than 1")
        if sum(alphas) > MOST_STOP_ALPHA + 1e-9:
            found = f"found {sum(alphas):g} together"
            raise ConfigError(f"harm_alpha, watch_alpha, guard_alpha: {found}, wanted at most {MOST_STOP_ALPHA}")
        if not self.allow_points > 0 or self.harm_points > self.allow_points:
            raise ConfigError("allow_points: wanted more than 0 and at least harm_points")
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or not 0 < self.steps[-1] <= 0.5:
            raise ConfigError(f"steps: found {list(self.steps)}, wanted rising weights above 0, 0.5 at most")
        if self.steps[0] <= 0 or self.shadow_share > 1:
            raise ConfigError("steps and shadow_share: wanted shares of the streams, the steps above 0")


def load_policy(path: Path | None = None) -> Policy:
    """`configs/rollout.toml`, overridden by the file at ``path``.

    Raises `ConfigError` for a file that is missing or broken, for unknown keys and for values that make no sense.
    """
    table = read_toml(config_dir() / "rollout.toml")
    if path is not None:
        table = {**table, **read_toml(path)}
    return build(Policy, table, str(path or "rollout.toml"))
