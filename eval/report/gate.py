"""The checks of `asr eval gate`: is a run worse than its baseline, beyond chance and beyond what is allowed?

A check that cannot be made is not passed: a figure that was not measured, a baseline model or mode that was not run,
other audio under the same names, a broken stream. With several checks or several looks at the same data, chance has
several tries: the checks share alpha (Holm), and each look has its part of it (`eval.report.looks`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from xml.etree import ElementTree

from asr.errors import CallerError, ConfigError
from eval.html.formatting import number
from eval.metrics.catalogue import CPU, STABLE_AUDIO_P95, STABLE_P95, WER, Metric
from eval.metrics.estimates import compare, units_of_traces, value_of
from eval.metrics.resampling import Difference
from eval.metrics.rounds import MIN_ROUNDS
from eval.metrics.significance import POWER, too_few_units
from eval.report.looks import Look
from eval.report.systems import System, by_unit, more_data, on_common, rounds_in_turns, systems_of, timed
from eval.runs.folder import Run
from eval.trace import OFFLINE


class GateError(CallerError):
    """A model is worse than its baseline."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The rises that are allowed; None: the figure is not checked.

    Attributes:
        wer: Points of WER.
        p95_s: Seconds of the delay's p95 on the clock of the audio received, which the machine's speed does not touch.
        cost: Share of the CPU time: 0.1 is 10 %.
        wall_p95_s: Seconds of the delay's p95, computing included.
        non_inferior: Pass only what is shown to be within the limits: the upper end of the rise's interval counts.
        look: Which look at this data it is.
    """

    wer: float | None = None
    p95_s: float | None = None
    cost: float | None = None
    wall_p95_s: float | None = None
    non_inferior: bool = False
    look: Look = field(default_factory=Look)


@dataclass(frozen=True, slots=True)
class Check:
    """One figure of one system against the baseline.

    Attributes:
        system: Model and mode.
        figure: Name of the figure, or "data".
        sentence: The result in words.
        worse: True where it rose beyond chance and the limit, or is not shown to be within the limit if that is asked.
        missing: True where it could not be checked.
        rose: True where it rose by more than the limit, and chance may explain that.
    """

    system: str
    figure: str
    sentence: str
    worse: bool
    missing: bool = False
    rose: bool = False


def checks(new: Run, old: Run, limits: Limits) -> tuple[Check, ...]:
    """Every figure with a limit, of every system of `old`; a check that cannot be made is `missing`.

    Raises `ConfigError` where there is no limit or the runs have no system.
    """
    wanted = [check for check in CHECKS if check.limit(limits) is not None]
    if not wanted:
        names = ", ".join(check.option for check in CHECKS)
        raise ConfigError(f"found no limit, wanted one of {names}")
    pairs, lacking = _counterparts(systems_of([new]), systems_of([old]))
    problems = [*_other_data(new, old), *lacking]
    due = []
    for left, right in pairs:
        problems += _incomplete(left, right)
        one, other = on_common((left, right))
        due += [
            (*pair, each)
            for each in wanted
            if not (each.streamed and right.mode == OFFLINE)
            for pair in (_by_unit(one, other) if each.metric is WER else [(one, other)])
        ]
    for each in wanted:
        if not any(each is mine for *_, mine in due):
            why = "no streamed mode in both runs"
            problems.append(Check("all", each.figure, f"{each.figure} cannot be checked: {why}", False, missing=True))
    return (*problems, *_checked(due, limits))


def junit_xml(results: Sequence[Check], look: Look) -> bytes:
    """The checks as a test suite in JUnit's format, which most build servers read."""
    counts = {
        "tests": len(results),
        "failures": sum(check.worse for check in results),
        "errors": sum(check.missing for check in results),
    }
    suite = ElementTree.Element("testsuite", {"name": "asr eval gate"} | {k: str(v) for k, v in counts.items()})
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", {"name": "look", "value": str(look)})
    for check in results:
        case = ElementTree.SubElement(suite, "testcase", {"classname": check.system, "name": check.figure})
        if check.worse:
            ElementTree.SubElement(case, "failure", {"message": check.sentence})
        elif check.missing:
            ElementTree.SubElement(case, "error", {"message": check.sentence})
        else:
            ElementTree.SubElement(case, "system-out").text = check.sentence
    written: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return written


def _counterparts(new: Sequence[System], old: Sequence[System]) -> tuple[list[tuple[System, System]], list[Check]]:
    """Pairs by model and mode, and what of the baseline has none.

    Where each run has one model, pairs are by mode: a new model may replace an old one.
    """
    single = len({s.model for s in new}) == len({s.model for s in old}) == 1
    pairs, lacking = [], []
    for theirs in old:
        ours = [s for s in new if s.mode == theirs.mode and (single or s.model == theirs.model)]
        pairs += [(mine, theirs) for mine in ours]
        if not ours:
            name = f"{theirs.model} {theirs.mode}"
            lacking.append(Check(name, "data", f"the baseline has {name}, the run does not", False, missing=True))
    if not old:
        raise ConfigError("the baseline has no traces; wanted a run that has begun")
    return pairs, lacking


def _other_data(new: Run, old: Run) -> Iterator[Check]:
    """Data sets of the baseline whose audio or labels are not the same in the run."""
    for name, sha256 in old.signature.data.items():
        other = new.signature.data.get(name)
        if other != sha256:
            what = "the run does not have it" if other is None else "the run has other audio or labels under that name"
            yield Check("all", "data", f"data set {name} of the baseline: {what}", False, missing=True)


def _incomplete(new: System, old: System) -> Iterator[Check]:
    """Recordings that the run lacks, and streams that broke in either."""
    name = f"{new.model} {new.mode}"
    one, _ = on_common((new, old))
    if len(one.scored) < len(old.scored):
        sentence = f"the run has {len(one.scored)} of the {len(old.scored)} recordings of the baseline"
        yield Check(name, "data", sentence, False, missing=True)
    for whose, system in (("run", new), ("baseline", old)):
        broken = [s.trace for round_ in system.rounds for s in round_ if s.trace.error]
        if broken:
            first = f"{broken[0].utterance}: {broken[0].error}"
            count = "1 stream" if len(broken) == 1 else f"{len(broken)} streams"
            yield Check(name, "data", f"{count} of the {whose} broke ({first})", False, missing=True)


def _by_unit(new: System, old: System) -> list[tuple[System, System]]:
    """The pair on what is counted in words, and on what is counted in characters: such errors are not added."""
    parts = by_unit((new, old))
    if len(parts) < 2:
        return [(new, old)]
    return [
        (replace(one, mode=f"{one.mode} {unit}"), replace(other, mode=f"{other.mode} {unit}"))
        for unit, (one, other) in parts
    ]


@dataclass(frozen=True, slots=True)
class _Figure:
    """One figure that can be checked.

    Attributes:
        figure: Its name.
        option: Its option on the command line.
        metric: What is compared.
        limit: Its limit among all.
        unit: The unit of its rise.
        streamed: True where only streamed modes have it.
        noisy: True where the machine's speed is in it, so that rounds are needed.
        as_ratio: True where the rise is a share.
    """

    figure: str
    option: str
    metric: Metric
    limit: Callable[[Limits], float | None]
    unit: str
    streamed: bool = False
    noisy: bool = False
    as_ratio: bool = False

    @property
    def null(self) -> float:
        """The value of no change."""
        return 1.0 if self.as_ratio else 0.0


CHECKS = (
    _Figure("WER", "--max-wer-rise", WER, lambda limits: limits.wer, "points"),
    _Figure("p95 of the delay", "--max-p95-rise", STABLE_AUDIO_P95, lambda limits: limits.p95_s, "s", streamed=True),
    _Figure(
        "p95 of the delay with computing",
        "--max-wall-p95-rise",
        STABLE_P95,
        lambda limits: limits.wall_p95_s,
        "s",
        streamed=True,
        noisy=True,
    ),
    _Figure("CPU time", "--max-cost-rise", CPU, lambda limits: limits.cost, "times", noisy=True, as_ratio=True),
)


def _checked(due: Sequence[tuple[System, System, _Figure]], limits: Limits) -> list[Check]:
    """All checks, corrected for their number by Holm's steps: those beyond chance no longer count for the others.

    To be within the limits, all must be shown to be so; that is one claim, and needs no correction.
    """
    count = 1 if limits.non_inferior else len(due)
    while True:
        comparisons = limits.look.divisor * count
        changes = [_change(*each, comparisons) for each in due]
        beyond = sum(change.excludes(each.null) for (*_, each), change in zip(due, changes, strict=True))
        left = max(1, len(due) - beyond)
        if limits.non_inferior or left == count:
            return [_check(*each, change, limits, count) for each, change in zip(due, changes, strict=True)]
        count = left


def _change(new: System, old: System, figure: _Figure, comparisons: float) -> Difference:
    if figure.noisy:
        return timed(figure.metric, new, old, comparisons, as_ratio=figure.as_ratio)
    return compare(figure.metric, new.scored, old.scored, comparisons)


def _check(new: System, old: System, figure: _Figure, change: Difference, limits: Limits, count: int) -> Check:
    name, limit = f"{new.model} {new.mode}", figure.limit(limits) or 0.0
    values = value_of(figure.metric, old.scored), value_of(figure.metric, new.scored)
    if None in values:
        return Check(name, figure.figure, f"{figure.figure} was not measured in both runs", False, missing=True)
    if change.tied:
        unknown = "how small a rise would be caught is unknown"
        text = f"{figure.figure} {_both(figure, values)}: the same in both runs; {unknown}"
        return Check(name, figure.figure, text, False)
    if change.value is None or change.low is None or change.high is None:
        return Check(name, figure.figure, _why_not(new, old, figure, limits, count), False, missing=True)
    is_shown_worse = change.value - figure.null > limit and change.low > figure.null
    worse = change.high - figure.null > limit if limits.non_inferior else is_shown_worse
    text = f"{figure.figure} {_values(figure, values, change)}; {_detectable(change, limit, figure)}"
    if figure.metric is WER:
        text += _further_data(new, old, change, limit, limits.look.divisor * count)
    rose = not worse and change.value - figure.null > limit
    if rose:
        text += f"; it rose by more than the limit of {_limit(limit, figure)}, which chance may explain"
    return Check(name, figure.figure, text, worse, rose=rose)


def _why_not(new: System, old: System, figure: _Figure, limits: Limits, count: int) -> str:
    """Why there is no interval."""
    units = units_of_traces(new.scored)
    if too_few_units(units.count, limits.look.divisor * count):
        of = f"for {'1 check' if count == 1 else f'{count} checks'}, {limits.look}"
        return f"{figure.figure} cannot be judged: too few speakers ({units.count}) {of}"
    if figure.noisy and rounds_in_turns(new, old) < MIN_ROUNDS:
        how = f"wanted {MIN_ROUNDS} repeats of both, made in turns: see --repeats"
        return f"{figure.figure} cannot be judged: the machine's noise is unknown; {how}"
    return f"{figure.figure} cannot be judged: too few recordings have it"


def _values(figure: _Figure, values: tuple[float | None, float | None], change: Difference) -> str:
    ends = f"({number(change.low)} to {number(change.high)})"
    if figure.as_ratio:
        return f"times {number(change.value)} {ends}"
    return f"{_both(figure, values)}, {number(change.value, sign=True)} {figure.unit} {ends}"


def _both(figure: _Figure, values: tuple[float | None, float | None]) -> str:
    """The figure of the baseline and that of the run."""
    unit = {"points": "%", "times": figure.metric.unit}.get(figure.unit, figure.unit)
    old, new = (number(value, figure.metric.digits) for value in values)
    return f"{old} -> {new} {unit}"


def _further_data(new: System, old: System, change: Difference, limit: float, comparisons: float) -> str:
    """The recordings that would show equal models to be within the limit; "" for no limit, or where it is done."""
    more = more_data(new, old, change, comparisons, limit) if limit else None
    if more is None or more.recordings == 0:
        return ""
    count = "no number of" if more.recordings is None else f"about {more.recordings}"
    return f"; {count} more recordings would show that equal models are within {number(limit)} points"


def _limit(limit: float, figure: _Figure) -> str:
    return f"{number(100 * limit)} %" if figure.as_ratio else f"{number(limit)} {figure.unit}"


def _detectable(change: Difference, limit: float, figure: _Figure) -> str:
    """The smallest true rise that this gate catches in four of five cases."""
    value, error = change.value or 0.0, change.error or 0.0
    arm = min(value - (change.low or 0.0), (change.high or 0.0) - value)  # the longer one is for slower speakers
    rise = max(arm, limit) + NormalDist().inv_cdf(POWER) * error
    shown = f"to times {number(1 + rise)}" if figure.as_ratio else f"of {number(rise)} {figure.unit}"
    return f"a true rise {shown} is caught in 4 of 5 cases"
