"""The settings of a pipeline, from one TOML file (`configs/pipeline.toml` explains each key)."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr.config import build, read_toml
from asr.errors import ConfigError
from asr.ledger.pipelines import STEPS


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What the data must be like: at most ``most_left_out`` (0 to 1) of the listed recordings are unusable."""

    most_left_out: float = 0.1
    refuse_leaks: bool = True


@dataclass(frozen=True, slots=True)
class TrainStep:
    """``config``: settings as `asr train --config` takes them; ``minutes``: the longest training, 0 for no limit."""

    config: str
    minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class EvalStep:
    """The standing sets, and the conditions under which they are also run ("telephone+mulaw,noise:10")."""

    data: tuple[str, ...]
    mode: str = "replay"
    conditions: str = ""
    noise: str = ""
    rirs: str = ""
    limit: int = 0


@dataclass(frozen=True, slots=True)
class GateStep:
    """The rises that are allowed, on each set alone."""

    max_wer_rise: float = 0.3
    max_p95_rise: float = 0.0
    """Seconds; 0: not checked."""


@dataclass(frozen=True, slots=True)
class ShadowStep:
    """The share of the streams that the release hears again, 0 to 1."""

    share: float = 0.2


@dataclass(frozen=True, slots=True)
class TriggerSettings:
    """What starts the pipeline; `ops.triggers` applies it."""

    harm: bool = True
    labels: int = 0
    """So many new labels since the last run; 0: never."""
    every_days: float = 0.0
    """So many days since the last run; 0: never."""
    cooldown_hours: float = 24.0
    """No other run begins so soon after a run began."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All settings. ``steps``: those that are made, in order; a run without the last ones ends before them."""

    name: str
    train: TrainStep
    eval: EvalStep
    work: str = "pipeline"
    """The folder of all runs' files, relative to the file of these settings."""
    rollout: str = ""
    """TOML that overrides configs/rollout.toml, as `asr monitor --config` takes it."""
    steps: tuple[str, ...] = STEPS
    audit: AuditSettings = field(default_factory=AuditSettings)
    gate: GateStep = field(default_factory=GateStep)
    shadow: ShadowStep = field(default_factory=ShadowStep)
    triggers: TriggerSettings = field(default_factory=TriggerSettings)

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        table: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return table


def load_plan(path: Path) -> Plan:
    """Reads the file; its paths become absolute, relative to its folder. Raises `ConfigError`."""
    plan = build(Plan, read_toml(path), str(path))
    if list(plan.steps) != [step for step in STEPS if step in plan.steps] or not plan.steps:
        raise ConfigError(f"{path}: steps is {list(plan.steps)}, wanted some of {', '.join(STEPS)}, in this order")
    for step in ("train", "eval", "gate", "add"):
        if STEPS.index(plan.steps[-1]) >= STEPS.index(step) and step not in plan.steps:
            raise ConfigError(f"{path}: steps lacks {step}, which the steps after it rest on")
    shares = {"audit.most_left_out": plan.audit.most_left_out, "shadow.share": plan.shadow.share}
    for key, value in shares.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"{path}: {key} is {value:g}, wanted 0 to 1")
    numbers = (*dataclasses.astuple(plan.triggers)[1:], *dataclasses.astuple(plan.gate), plan.train.minutes)
    if min(numbers) < 0 or plan.eval.limit < 0:
        raise ConfigError(f"{path}: wanted 0 or more in triggers, gate, train.minutes and eval.limit")
    return _located(plan, path.resolve().parent)


def _located(plan: Plan, folder: Path) -> Plan:
    def at(name: str) -> str:
        return str(folder / Path(name).expanduser()) if name else ""

    data = tuple(map(at, plan.eval.data))
    standing = dataclasses.replace(plan.eval, data=data, noise=at(plan.eval.noise), rirs=at(plan.eval.rirs))
    train = dataclasses.replace(plan.train, config=at(plan.train.config))
    return dataclasses.replace(plan, train=train, eval=standing, work=at(plan.work), rollout=at(plan.rollout))


def digest(*parts: Any) -> str:
    """SHA-256 of JSON values; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
