"""The checks of `asr eval gate`: is a run worse than its baseline, beyond chance and beyond what is allowed?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from asr.errors import CallerError, ConfigError
from eval.html.formatting import number
from eval.metrics.catalogue import CPU, STABLE_P95, WER, Metric
from eval.metrics.estimates import compare, ratio, value_of
from eval.metrics.resampling import Difference
from eval.report.systems import System, on_common, systems_of
from eval.runs.folder import Run
from eval.trace import OFFLINE


class GateError(CallerError):
    """A model is worse than its baseline."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The rises that are allowed; None: the figure is not checked.

    Attributes:
        wer: Points of WER.
        p95_s: Seconds of the delay's p95.
        cost: Share of the CPU time: 0.1 is 10 %.
    """

    wer: float | None = None
    p95_s: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One figure of one system against the baseline.

    Attributes:
        system: Model and mode.
        figure: Name of the figure.
        sentence: The result in words.
        worse: True where it rose beyond chance and the limit.
        missing: True where it was not measured in both runs.
    """

    system: str
    figure: str
    sentence: str
    worse: bool
    missing: bool = False


def checks(new: Run, old: Run, limits: Limits) -> tuple[Check, ...]:
    """Every figure with a limit, of every system of `new` that has its counterpart in `old`.

    Raises `ConfigError` where there is no limit, no counterpart, or where `new` lacks a recording of `old`.
    """
    if limits == Limits():
        raise ConfigError("found no limit, wanted one of --max-wer-rise, --max-p95-rise and --max-cost-rise")
    results: list[Check] = []
    for left, right in _counterparts(systems_of([new]), systems_of([old])):
        one, other = on_common((left, right))
        if len(one.scored) < len(right.scored):
            have, of = len(one.scored), len(right.scored)
            raise ConfigError(
                f"{new.name} has {have} of the {of} recordings that {old.name} has for {left.model}, {left.mode}; "
                "wanted all of them: run the same data"
            )
        results += _system_checks(one, other, limits)
    return tuple(results)


def junit_xml(results: Sequence[Check]) -> bytes:
    """The checks as a test suite in JUnit's format, which most build servers read."""
    counts = {
        "tests": len(results),
        "failures": sum(check.worse for check in results),
        "skipped": sum(check.missing for check in results),
    }
    suite = ElementTree.Element("testsuite", {"name": "asr eval gate"} | {k: str(v) for k, v in counts.items()})
    for check in results:
        case = ElementTree.SubElement(suite, "testcase", {"classname": check.system, "name": check.figure})
        if check.worse:
            ElementTree.SubElement(case, "failure", {"message": check.sentence})
        elif check.missing:
            ElementTree.SubElement(case, "skipped", {"message": check.sentence})
    written: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return written


def _counterparts(new: Sequence[System], old: Sequence[System]) -> list[tuple[System, System]]:
    """Pairs by model and mode. Where each run has one model, pairs by mode: a new model may replace an old one."""
    single = len({s.model for s in new}) == len({s.model for s in old}) == 1
    pairs = [(a, b) for a in new for b in old if a.mode == b.mode and (single or a.model == b.model)]
    if not pairs:
        names = [", ".join(sorted({f"{s.model} {s.mode}" for s in systems})) or "nothing" for systems in (new, old)]
        raise ConfigError(f"the run has {names[0]}, the baseline {names[1]}; wanted a model and mode in both")
    return pairs


def _system_checks(new: System, old: System, limits: Limits) -> list[Check]:
    results = []
    if limits.wer is not None:
        results.append(_check(new, old, limits.wer, "WER", _wer))
    if limits.p95_s is not None and new.mode != OFFLINE:
        results.append(_check(new, old, limits.p95_s, "p95 of the delay", _p95))
    if limits.cost is not None:
        results.append(_check(new, old, limits.cost, "CPU time", _cost))
    return results


@dataclass(frozen=True, slots=True)
class _Rise:
    """A rise and the lower end of its 95 % interval, in the limit's unit; ``text`` describes it."""

    value: float | None
    low: float | None
    text: str


def _check(new: System, old: System, limit: float, figure: str, of: Callable[[System, System], _Rise]) -> Check:
    """Worse: the rise is above the limit, and its 95 % interval is above zero."""
    rise, name = of(new, old), f"{new.model} {new.mode}"
    if rise.value is None or rise.low is None:
        return Check(name, figure, f"{figure} was not measured in both", worse=False, missing=True)
    worse = rise.value > limit and rise.low > 0
    return Check(name, figure, f"{figure} {rise.text}", worse)


def _wer(new: System, old: System) -> _Rise:
    return _difference(WER, "%", "points", new, old)


def _p95(new: System, old: System) -> _Rise:
    return _difference(STABLE_P95, "s", "s", new, old)


def _difference(metric: Metric, unit: str, difference_unit: str, new: System, old: System) -> _Rise:
    rise: Difference = compare(metric, new.scored, old.scored)
    values = f"{number(value_of(metric, old.scored))} -> {number(value_of(metric, new.scored))} {unit}"
    change = f"{number(rise.value, sign=True)} {difference_unit} ({number(rise.low)} to {number(rise.high)})"
    return _Rise(rise.value, rise.low, f"{values}, {change}")


def _cost(new: System, old: System) -> _Rise:
    times = ratio(CPU, new.scored, old.scored)
    if times.value is None or times.low is None:
        return _Rise(None, None, "")
    text = f"times {number(times.value)} ({number(times.low)} to {number(times.high)})"
    return _Rise(times.value - 1, times.low - 1, text)
