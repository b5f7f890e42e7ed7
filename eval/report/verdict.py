"""The verdict: what the figures say, in sentences, before any table."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eval.data.problems import tally
from eval.html.formatting import between, listed, plain, plural, significant
from eval.metrics.catalogue import CPU, MADE_UP, STABLE_P95, WER
from eval.metrics.estimates import compare, estimate, unit_of
from eval.metrics.resampling import Difference
from eval.metrics.rounds import MIN_ROUNDS
from eval.report.advice import advice, advice_of_many, leads_of, more_data_text
from eval.report.parts import PartComparison
from eval.report.systems import Comparison, System, by_unit, on_common
from eval.runs.folder import Run
from eval.trace import LIVE, OFFLINE, REPLAY

PREFERRED = (LIVE, REPLAY, OFFLINE)
"""The verdict is about the first of these modes that was run: the one nearest to real use."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The report's first sentences.

    Attributes:
        headline: The advice.
        reasons: The results that it rests on, with their intervals.
        caveats: What was left out or is uncertain.
    """

    headline: str
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]


def preferred_mode(systems: Sequence[System]) -> str:
    """The mode nearest to real use that was run; "" without systems."""
    return next((mode for mode in PREFERRED if any(system.mode == mode for system in systems)), "")


def verdict(
    runs: Sequence[Run],
    systems: Sequence[System],
    compared: Sequence[Comparison],
    parts: Sequence[PartComparison] = (),
) -> Verdict:
    """The verdict on all systems, in the mode nearest to real use; ``parts`` are the comparisons by data set."""
    modes = [mode for mode in PREFERRED if any(system.mode == mode for system in systems)]
    if not modes:
        return Verdict("There is nothing to compare: the run has no traces.", (), caveats(runs, systems))
    headline = _headline(modes[0], systems, compared, parts)
    reasons = [sentence for mode in modes for sentence in _mode_sentences(mode, systems, compared, parts)]
    reasons += [*_streaming(systems), *_made_up(systems, modes[0])]
    return Verdict(headline, tuple(reason for reason in reasons if reason != headline), caveats(runs, systems))


def pair_sentence(pair: Comparison) -> str:
    """Which of two systems is better and by how much, or that no difference is shown; with cost and delay."""
    if pair.wer.value is None:
        return f"{pair.left} and {pair.right} have no recording in common, {pair.mode}: they cannot be compared."
    better, worse = (pair.left, pair.right) if pair.wer.value < 0 else (pair.right, pair.left)
    points = f"{abs(pair.wer.value):.1f} points"
    names, rate = f"{pair.left} and {pair.right}, {pair.mode}", rate_name(pair.unit)
    if pair.has_too_few_speakers:
        why = f"{units_text(pair)}{_corrected(pair)}"
        sentence = f"Too few speakers to tell {names} apart ({why}): {points} of {rate} between them."
        return sentence + _cost_and_delay(pair, pair.left)
    if pair.wer.tied:
        return f"{_tie(pair, names, rate)}{_cost_and_delay(pair, pair.left)}"
    where = f"95 % interval {_interval(pair, better != pair.left)}{_corrected(pair)}{_if_different_speakers(pair)}"
    if pair.is_significant:
        sentence = f"{better} is better than {worse} by {points} of {rate}, {pair.mode}, {where}."
        return sentence + _cost_and_delay(pair, better)
    could = "" if pair.smallest is None else f"; this data could show {significant(pair.smallest)} points"
    more = more_data_text(pair)
    could += f", {more} would show {significant(pair.more.points)} points" if more and pair.more else ""
    fewer = f" in favour of {better}" if round(abs(pair.wer.value), 1) else ""
    sentence = f"No difference in {rate} is shown between {names}: {points}{fewer}, {where}{could}."
    return sentence + _cost_and_delay(pair, pair.left)


def _tie(pair: Comparison, names: str, rate: str) -> str:
    return (
        f"No difference in {rate} is shown between {names}: as many errors from each of {units_text(pair)}; "
        "how small a difference this data could show is unknown."
    )


def units_text(pair: Comparison) -> str:
    """The units of a comparison: "12 speakers and 3 recordings of unknown speakers"."""
    named, parts = pair.speakers - pair.unknown, []
    if named or not pair.unknown:
        parts.append(plural(named, "speaker"))
    if pair.unknown:
        parts.append(f"{plural(pair.unknown, 'recording')} of unknown speakers")
    return listed(parts)


def caveats(runs: Sequence[Run], systems: Sequence[System]) -> tuple[str, ...]:
    """What the figures leave out, in sentences."""
    sentences = [*_left_out(runs), *(sentence for run in runs for sentence in _not_taken(run))]
    failed = Counter(f"{s.name}, {s.mode}" for s in systems for scored in s.scored if scored.trace.error)
    sentences += [
        f"{plural(count, 'stream')} of {name} broke; the text recognised by then is scored."
        for name, count in failed.items()
    ]
    machines = {str(run.signature.machine) for run in runs}
    if len(machines) > 1:
        sentences.append(
            f"The runs were made on {len(machines)} machines: cost and delay are not comparable between them."
        )
    return tuple(sentences)


def _left_out(runs: Sequence[Run]) -> Iterator[str]:
    left_out = dict.fromkeys(reason for run in runs for reason in run.left_out)
    if left_out:
        count = plural(len(left_out), "recording")
        yield f"{count} or lines of the data could not be used ({tally(left_out)})."


def _not_taken(run: Run) -> Iterator[str]:
    for model in dict.fromkeys(item.model for item in run.not_taken):
        mine = [item for item in run.not_taken if item.model == model]
        languages = listed(sorted({item.language for item in mine}))
        count = plural(sum(item.utterances for item in mine), "recording")
        yield f"{model} does not take {languages} ({count}): comparisons are on what all models take."


def _headline(
    mode: str, systems: Sequence[System], compared: Sequence[Comparison], parts: Sequence[PartComparison]
) -> str:
    """The advice; where errors are counted in words and in characters, one for each."""
    mine = [system for system in systems if system.mode == mode]
    sentences = []
    for unit, part in by_unit(mine if len(mine) < 3 else on_common(mine)):
        pairs = [pair for pair in compared if pair.mode == mode and pair.unit == unit]
        if len(mine) == 1:
            sentences.append(_single(unit, part[0]))
        else:
            sentence = _by_set(pairs[0], parts) or advice(pairs[0]) if len(pairs) == 1 else _of_many(part, pairs, parts)
            sentences.append(sentence if len(compared) == len(pairs) else f"{_in_unit(unit, mine)}{sentence}")
    return " ".join(sentences)


def _in_unit(unit: str, systems: Sequence[System]) -> str:
    """Where both units are used: "In words: "; else ""."""
    return f"In {unit}: " if len(by_unit(systems)) > 1 else ""


def _of_many(mine: Sequence[System], pairs: Sequence[Comparison], parts: Sequence[PartComparison]) -> str:
    divided = [sentence for pair in pairs if (sentence := _divided(pair, parts))]
    rates = {system.name: rate for system in mine if (rate := estimate(WER, system.scored).value) is not None}
    if len(rates) < len(mine):
        return "The systems have no recording in common: they cannot be compared."
    return " ".join((*divided, advice_of_many(rates, pairs, rate_name(unit_of(mine[0].scored)))))


def _mode_sentences(
    mode: str, systems: Sequence[System], compared: Sequence[Comparison], parts: Sequence[PartComparison]
) -> list[str]:
    mine = [system for system in systems if system.mode == mode]
    if len(mine) == 1:
        return [_single(unit, part[0]) for unit, part in by_unit(mine)]
    pairs = [pair for pair in compared if pair.mode == mode]
    return [("All together: " if _disagreeing(pair, parts) else "") + pair_sentence(pair) for pair in pairs]


def _by_set(pair: Comparison, parts: Sequence[PartComparison]) -> str:
    """What single data sets say other than all together; "" where they agree."""
    other = _disagreeing(pair, parts)
    if not other:
        return ""
    mine = [part for part in parts if _is_of(part, pair)]
    results = "; ".join(_part_phrase(part) for part in (*other, *(p for p in mine if p not in other)))
    leads = [f"{lead.of}: {lead.ahead}" for lead in leads_of(pair) if lead.subject != "accuracy"]
    return f"It depends on the data: {results}." + (f" On all data {'; '.join(leads)}." if leads else "")


def _divided(pair: Comparison, parts: Sequence[PartComparison]) -> str:
    """Where data sets disagree about this pair; "" where they do not."""
    better = {part.left if (part.wer.value or 0) < 0 else part.right for part in _significant(pair, parts)}
    if len(better) < 2:
        return ""
    return f"Data sets disagree on {pair.left} and {pair.right}, {pair.mode}: " + (
        "; ".join(_part_phrase(part) for part in _significant(pair, parts)) + "."
    )


def _disagreeing(pair: Comparison, parts: Sequence[PartComparison]) -> list[PartComparison]:
    """Data sets with a difference beyond chance where all together have none, or the opposite one."""
    same_way = pair.is_significant and pair.wer.value is not None
    return [
        part for part in _significant(pair, parts) if not same_way or (part.wer.value or 0) * (pair.wer.value or 0) < 0
    ]


def _significant(pair: Comparison, parts: Sequence[PartComparison]) -> list[PartComparison]:
    return [part for part in parts if _is_of(part, pair) and part.is_significant]


def _is_of(part: PartComparison, pair: Comparison) -> bool:
    return (part.left, part.right, part.mode, part.unit) == (pair.left, pair.right, pair.mode, pair.unit)


def _part_phrase(part: PartComparison) -> str:
    """One data set's result: "on en-accented a is better than b by 6.0 points (2.3 to 10.2)"."""
    if part.has_too_few_speakers:
        return f"on {part.part} there are too few speakers to tell ({part.speakers})"
    if part.wer.tied:
        return f"on {part.part} both have as many errors from each of {plural(part.speakers, 'speaker')}"
    if part.wer.value is None or not part.is_significant:
        return f"on {part.part} no difference is shown ({plain(part.wer.value, 1, sign=True)} points)"
    better, worse = (part.left, part.right) if part.wer.value < 0 else (part.right, part.left)
    ends = sorted(abs(end) for end in (part.wer.low, part.wer.high) if end is not None)
    where = f" ({plain(ends[0], 1)} to {plain(ends[1], 1)})" if ends else ""
    return f"on {part.part} {better} is better than {worse} by {abs(part.wer.value):.1f} points{where}"


def _single(unit: str, system: System) -> str:
    wer, cost, delay = (estimate(metric, system.scored) for metric in (WER, CPU, STABLE_P95))
    rate = rate_name(unit)
    parts = [
        f"{system.name}, {system.mode}: {rate} {plain(wer.value, 1)} % (95 % interval {between(wer, 1) or 'unknown'})"
    ]
    parts += [f"95 % of its words are stable within {plain(delay.value)} s"] if delay.value is not None else []
    parts += [f"{plain(cost.value, 3)} CPU-s per audio-s"] if cost.value is not None else []
    return "; ".join(parts) + "."


def rate_name(unit: str) -> str:
    """The name of an error rate in this unit."""
    return "CER" if unit == "characters" else "WER"


def _corrected(pair: Comparison) -> str:
    return f", corrected for {pair.comparisons} pairs" if pair.comparisons > 1 else ""


def _if_different_speakers(pair: Comparison) -> str:
    """The assumption where most units are recordings: with few people behind many recordings, chance is larger."""
    return ", if each recording is of another speaker" if 2 * pair.taken_as_speakers > pair.speakers else ""


def _interval(pair: Comparison, turned: bool) -> str:
    """The interval of the difference in WER, read as an advantage: from small to large."""
    if pair.wer.low is None or pair.wer.high is None:
        return "unknown"
    ends = (pair.wer.low, pair.wer.high) if turned else (-pair.wer.high, -pair.wer.low)
    return f"{plain(ends[0], 1)} to {plain(ends[1], 1)}"


def _cost_and_delay(pair: Comparison, name: str) -> str:
    """The cost and the delay of the named system against the other."""
    turned = name != pair.left
    parts = []
    if pair.cost.value:
        times = f"{plain(1 / pair.cost.value if turned else pair.cost.value, 2)} times"
        parts.append(_cost(pair, name, times))
    if pair.delay is not None and pair.delay.value is not None:
        parts.append(_delay(pair, name, turned))
    return f" {'; '.join(parts)}." if parts else ""


def _cost(pair: Comparison, name: str, times: str) -> str:
    if pair.cost.low is None:
        return f"CPU of {name}: {times}, not judged ({_why_not_judged(pair)})"
    return f"{name} costs {times} the CPU" if pair.cost.excludes(1) else f"no difference in CPU is shown ({times})"


def _why_not_judged(pair: Comparison) -> str:
    """Why the machine's noise is not known."""
    if pair.rounds < MIN_ROUNDS:
        often = "one run does" if pair.rounds == 1 else f"{pair.rounds} runs do"
        return f"{often} not show the machine's noise: --repeats {MIN_ROUNDS}, in turns"
    return "too few speakers"


def _delay(pair: Comparison, name: str, turned: bool) -> str:
    delay = pair.delay
    clock = "p95" if pair.delay_clock == "wall" else "p95, computing left out"
    if delay is None or delay.value is None or not delay.excludes_zero:
        return f"no difference in delay is shown ({clock})"
    value = -delay.value if turned else delay.value
    whose = "its words are" if pair.cost.excludes(1) else f"the words of {name} are"
    return f"{whose} stable {abs(value):.2f} s {'later' if value > 0 else 'earlier'} ({clock})"


def _certainty(points: Difference) -> str:
    ends = between(points, 1)
    if not ends:
        return "which may be chance: too few speakers or differences for an interval"
    return ends if points.excludes_zero else f"{ends}, which may be chance"


def _streaming(systems: Sequence[System]) -> Iterator[str]:
    """The errors that streaming adds to each model."""
    for offline in (system for system in systems if system.mode == OFFLINE):
        for streamed in (s for s in systems if s.name == offline.name and s.mode != OFFLINE):
            for unit, (left, right) in by_unit(on_common((streamed, offline))):
                points = compare(WER, left.scored, right.scored)
                if points.value is not None:
                    change = f"{plain(points.value, 1, sign=True)} points ({_certainty(points)})"
                    of = "" if unit == "words" else f" of {rate_name(unit)}"
                    yield f"Streaming ({streamed.mode}) against one-shot, {offline.name}: {change}{of}."


def _made_up(systems: Sequence[System], mode: str) -> list[str]:
    """The words that each system made up where nothing is said."""
    rates = [(s.name, estimate(MADE_UP, s.scored).value) for s in systems if s.mode == mode]
    parts = [f"{name} {plain(rate, 1)}" for name, rate in rates if rate is not None]
    return [f"Words made up per minute of non-speech, {mode}: {listed(parts)}."] if parts else []
