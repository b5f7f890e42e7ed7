"""The verdict: what the figures say, in words, before any table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from eval.data.problems import tally
from eval.html.formatting import between, listed, p_value, plain, plural
from eval.metrics.catalogue import BY_KEY, CPU, STABLE_P95, WER, compare, estimate
from eval.report.systems import Comparison, System, on_common
from eval.runs.folder import Run
from eval.trace import LIVE, OFFLINE, REPLAY

PREFERRED = (LIVE, REPLAY, OFFLINE)
"""The mode that the verdict is about: the nearest to use that was run."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``headline`` decides; ``reasons`` are the other sentences; ``caveats`` say what was left out or is uncertain."""

    headline: str
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]


def verdict(runs: Sequence[Run], systems: Sequence[System], compared: Sequence[Comparison]) -> Verdict:
    """Of all systems in their most telling mode."""
    modes = [mode for mode in PREFERRED if any(system.mode == mode for system in systems)]
    if not modes:
        return Verdict("There is nothing to judge: the run has no traces.", (), caveats(runs, systems))
    headline, *more = [_of_mode(mode, systems, compared) for mode in modes]
    reasons = [*headline[1:], *(sentence for sentences in more for sentence in sentences)]
    reasons += [*_streaming(systems), *_made_up(systems, modes[0])]
    return Verdict(headline[0], tuple(reasons), caveats(runs, systems))


def pair_sentence(pair: Comparison) -> str:
    """Who is better by how much, or that it is not shown; with the cost and the delay."""
    if pair.wer.value is None:
        return f"{pair.left} and {pair.right} have no recording in common, {pair.mode}: nothing can be said."
    better, worse = (pair.left, pair.right) if pair.wer.value < 0 else (pair.right, pair.left)
    apart, where = f"{abs(pair.wer.value):.1f} points", f"95 % interval {_interval(pair, better != pair.left)}"
    if pair.clear:
        told = f"{better} is better than {worse} by {apart} of WER, {pair.mode}, {where}."
        return told + _beside(pair, better)
    could = "" if pair.smallest is None else f"; this data could show {plain(pair.smallest, 1)} points"
    told = f"No difference in WER is shown between {pair.left} and {pair.right}, {pair.mode}: {apart}, {where}{could}."
    return told + _beside(pair, pair.left)


def caveats(runs: Sequence[Run], systems: Sequence[System]) -> tuple[str, ...]:
    """What the figures leave out."""
    found = []
    left_out = dict.fromkeys(reason for run in runs for reason in run.left_out)
    if left_out:
        said = f"{plural(len(left_out), 'recording')} or lines of the data could not be used"
        found.append(f"{said} ({tally(left_out)}).")
    for run in runs:
        for model in dict.fromkeys(item.model for item in run.not_taken):
            mine = [item for item in run.not_taken if item.model == model]
            languages = listed(sorted({item.language for item in mine}))
            count = plural(sum(item.utterances for item in mine), "recording")
            found.append(f"{model} does not take {languages} ({count}): comparisons are on what all models take.")
    failed = Counter(f"{s.name}, {s.mode}" for s in systems for j in s.judged if j.trace.error)
    found += [
        f"{plural(count, 'stream')} of {name} broke; what they had said by then is scored."
        for name, count in failed.items()
    ]
    machines = {(str(run.signature.machine)) for run in runs}
    if len(machines) > 1:
        found.append(f"The runs were made on {len(machines)} machines: cost and delay are not comparable between them.")
    return tuple(found)


def _of_mode(mode: str, systems: Sequence[System], compared: Sequence[Comparison]) -> list[str]:
    mine = [system for system in systems if system.mode == mode]
    if len(mine) == 1:
        return [_alone(mine[0])]
    pairs = [pair for pair in compared if pair.mode == mode]
    sentences = [pair_sentence(pair) for pair in pairs]
    return sentences if len(mine) == 2 else [_best(on_common(mine), pairs), *sentences]


def _alone(system: System) -> str:
    wer, cost, delay = (estimate(measure, system.judged) for measure in (WER, CPU, STABLE_P95))
    parts = [
        f"{system.name}, {system.mode}: WER {plain(wer.value, 1)} % (95 % interval {between(wer, 1) or 'unknown'})"
    ]
    parts += [f"95 % of its words stand within {plain(delay.value)} s"] if delay.value is not None else []
    parts += [f"{plain(cost.value, 3)} CPU-s per audio-s"] if cost.value is not None else []
    return "; ".join(parts) + "."


def _best(mine: Sequence[System], pairs: Sequence[Comparison]) -> str:
    """Of three and more: the lowest error rate, and whom it beats beyond chance."""
    figures = {system.name: estimate(WER, system.judged).value for system in mine}
    known = {name: value for name, value in figures.items() if value is not None}
    if not known:
        return "The systems have no recording in common: nothing can be said."
    best = min(known, key=lambda name: known[name])
    clear = [{pair.left, pair.right} for pair in pairs if pair.clear]
    beaten = [name for name in known if {name, best} in clear and name != best]
    rest = [name for name in known if name != best and name not in beaten]
    told = f"{best} has the lowest WER, {known[best]:.1f} %, {mine[0].mode}"
    told += f"; it is better than {listed(beaten)} beyond chance" if beaten else ""
    return told + (f"; against {listed(rest)} no difference is shown." if rest else ".")


def _interval(pair: Comparison, turned: bool) -> str:
    """Of a difference that reads as an advantage: from small to large."""
    if pair.wer.low is None or pair.wer.high is None:
        return "unknown"
    ends = (pair.wer.low, pair.wer.high) if turned else (-pair.wer.high, -pair.wer.low)
    return f"{plain(ends[0], 1)} to {plain(ends[1], 1)}"


def _beside(pair: Comparison, who: str) -> str:
    """The cost and the delay of `who` against the other."""
    turned = who != pair.left
    found = []
    if pair.cost.value:
        found.append(f"{who} costs {plain(1 / pair.cost.value if turned else pair.cost.value, 1)} times the CPU")
    if pair.delay is not None and pair.delay.value is not None:
        found.append(_delay(pair, who, turned))
    return f" {'; '.join(found)}." if found else ""


def _delay(pair: Comparison, who: str, turned: bool) -> str:
    delay = pair.delay
    if delay is None or delay.value is None or not delay.clear:
        return "no difference in delay is shown"
    value = -delay.value if turned else delay.value
    whose = "its" if pair.cost.value else f"of {who} the"
    return f"{whose} words stand {abs(value):.2f} s {'later' if value > 0 else 'earlier'} (p95)"


def _streaming(systems: Sequence[System]) -> list[str]:
    """What streaming costs each model in errors."""
    found = []
    for whole in (system for system in systems if system.mode == OFFLINE):
        for streamed in (s for s in systems if s.name == whole.name and s.mode != OFFLINE):
            left, right = on_common((streamed, whole))
            diff = compare(WER, left.judged, right.judged)
            if diff.value is not None:
                chance = "" if diff.clear else ", which may be chance"
                told = f"{plain(diff.value, 1, sign=True)} points ({between(diff, 1)}{chance})"
                found.append(f"Streaming ({streamed.mode}) against one-shot, {whole.name}: {told}.")
    return found


def _made_up(systems: Sequence[System], mode: str) -> list[str]:
    """What was written where nothing is said."""
    told = []
    for system in (s for s in systems if s.mode == mode):
        made = estimate(BY_KEY["made_up"], system.judged)
        if made.value is not None:
            told.append(f"{system.name} {plain(made.value, 1)}")
    return [f"Words made up in a minute of non-speech, {mode}: {listed(told)}."] if told else []


def check_sentence(pair: Comparison) -> str:
    """What the second test says of the first."""
    if pair.matched_pairs is None:
        return "nothing to test"
    agrees = (pair.matched_pairs.p < 0.05) == (pair.wer.p is not None and pair.wer.p < 0.05)
    return f"{p_value(pair.matched_pairs.p)} ({'agrees' if agrees else 'disagrees'})"
