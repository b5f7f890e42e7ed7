"""`asr eval gate`: is a run worse than its baseline, beyond chance and beyond what is allowed?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from asr.errors import CallerError, ConfigError
from eval.metrics.catalogue import CPU, STABLE_P95, WER, compare, estimate, ratio
from eval.report.systems import System, on_common, systems_of
from eval.runs.folder import Run, read_run
from eval.trace import OFFLINE


class GateError(CallerError):
    """A model is worse than its baseline."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Rises that are let pass: WER in points, p95 of the delay in seconds, CPU as a share (0.1 is 10 %); None: any."""

    wer: float | None = None
    p95_s: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One figure of one system against the baseline. ``sentence`` says how it stands; ``missing``: not measured."""

    system: str
    figure: str
    sentence: str
    worse: bool
    missing: bool = False


def gate(run: Path, baseline: Path, limits: Limits, junit: Path | None) -> None:
    """Raises `GateError` with one sentence where a figure is worse, `ConfigError` where nothing can be compared."""
    new, old = read_run(run), read_run(baseline)
    found = checks(new, old, limits)
    if junit:
        junit.write_bytes(junit_xml(found))
    for check in found:
        print(f"{'WORSE' if check.worse else 'left out' if check.missing else 'ok':8} {check.system}: {check.sentence}")
    if new.signature.machine != old.signature.machine:
        print(f"note     delay and cost are of two machines: {new.signature.machine}; {old.signature.machine}")
    worse = [check for check in found if check.worse]
    if worse:
        raise GateError(f"{run} is worse than {baseline}: " + "; ".join(f"{c.system}: {c.sentence}" for c in worse))


def checks(new: Run, old: Run, limits: Limits) -> tuple[Check, ...]:
    """Every figure with a limit, of every system of `new` that has its counterpart in `old`.

    Raises `ConfigError` where there is no limit, no counterpart, or a recording in common is lacking.
    """
    if limits == Limits():
        raise ConfigError("found no limit, wanted one of --max-wer-rise, --max-p95-rise and --max-cost-rise")
    found: list[Check] = []
    for left, right in _counterparts(systems_of([new]), systems_of([old])):
        one, other = on_common((left, right))
        if len(one.judged) < len(right.judged):
            have, of = len(one.judged), len(right.judged)
            raise ConfigError(
                f"{new.name} has {have} of the {of} recordings that {old.name} has for {left.model}, {left.mode}; "
                "wanted all of them: run the same data"
            )
        found += _system_checks(one, other, limits)
    return tuple(found)


def junit_xml(found: Sequence[Check]) -> bytes:
    """The checks as a test suite in JUnit's format, as most build servers read it."""
    counts = {"tests": len(found), "failures": sum(c.worse for c in found), "skipped": sum(c.missing for c in found)}
    suite = ElementTree.Element("testsuite", {"name": "asr eval gate"} | {k: str(v) for k, v in counts.items()})
    for check in found:
        case = ElementTree.SubElement(suite, "testcase", {"classname": check.system, "name": check.figure})
        if check.worse:
            ElementTree.SubElement(case, "failure", {"message": check.sentence})
        elif check.missing:
            ElementTree.SubElement(case, "skipped", {"message": check.sentence})
    written: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return written


def _counterparts(new: Sequence[System], old: Sequence[System]) -> list[tuple[System, System]]:
    """By model and mode; where both runs have one model, by mode: a new model may replace an old one."""
    single = len({s.model for s in new}) == len({s.model for s in old}) == 1
    pairs = [(a, b) for a in new for b in old if a.mode == b.mode and (single or a.model == b.model)]
    if not pairs:
        told = [", ".join(sorted({f"{s.model} {s.mode}" for s in systems})) or "nothing" for systems in (new, old)]
        raise ConfigError(f"the run has {told[0]}, the baseline {told[1]}; wanted a model and mode in both")
    return pairs


def _system_checks(new: System, old: System, limits: Limits) -> list[Check]:
    found = []
    if limits.wer is not None:
        found.append(_rise(new, old, limits.wer, "WER", _wer))
    if limits.p95_s is not None and new.mode != OFFLINE:
        found.append(_rise(new, old, limits.p95_s, "p95 of the delay", _p95))
    if limits.cost is not None:
        found.append(_rise(new, old, limits.cost, "CPU time", _cost))
    return found


@dataclass(frozen=True, slots=True)
class _Found:
    """A rise with its interval, in the limit's unit, and how it is told."""

    rise: float | None
    low: float | None
    told: str


def _rise(new: System, old: System, limit: float, figure: str, of: Callable[[System, System], _Found]) -> Check:
    """Worse: the rise is above the limit, and its 95 % interval is above zero."""
    found, name = of(new, old), f"{new.model} {new.mode}"
    if found.rise is None or found.low is None:
        return Check(name, figure, f"{figure} was not measured in both", worse=False, missing=True)
    worse = found.rise > limit and found.low > 0
    return Check(name, figure, f"{figure} {found.told}", worse)


def _wer(new: System, old: System) -> _Found:
    found, now, then = compare(WER, new.judged, old.judged), estimate(WER, new.judged), estimate(WER, old.judged)
    told = f"{_n(then.value)} -> {_n(now.value)} %, {_n(found.value, '+')} points ({_n(found.low)} to {_n(found.high)})"
    return _Found(found.value, found.low, told)


def _p95(new: System, old: System) -> _Found:
    found = compare(STABLE_P95, new.judged, old.judged)
    now, then = estimate(STABLE_P95, new.judged), estimate(STABLE_P95, old.judged)
    told = f"{_n(then.value)} -> {_n(now.value)} s, {_n(found.value, '+')} s ({_n(found.low)} to {_n(found.high)})"
    return _Found(found.value, found.low, told)


def _cost(new: System, old: System) -> _Found:
    found = ratio(CPU, new.judged, old.judged)
    if found.value is None or found.low is None:
        return _Found(None, None, "")
    return _Found(found.value - 1, found.low - 1, f"times {_n(found.value)} ({_n(found.low)} to {_n(found.high)})")


def _n(value: float | None, sign: str = "") -> str:
    return "-" if value is None else format(value, f"{sign}.2f")
