"""How good is a live release? Its WER from vitals alone, corrected by the labels that came, with what is sure.

The estimate needs no text (`eval.estimate`); it is wrong where live speech differs from the labelled sets in ways that
the numbers do not show. A few utterances are drawn for a person, each with a stored probability, and their labels
correct it (augmented inverse-propensity weighting; Robins, Rotnitzky and Zhao 1994): the result holds whatever the
estimate is worth. It is a confidence sequence, so that anybody may look after each label.
"""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr.aliases import CHAMPION
from asr.errors import LedgerError
from asr.ledger import Draw, Draws, Ledger, VitalsRow
from asr.vitals import INDEX
from eval.betting import Audit, audit_scores, largest, log_wealth_of_small_bets, rate_sequence, residual_scores
from eval.estimate import ErrorModel, load

ALPHA = 0.05
LOG_LIMIT = float(np.log(1 / ALPHA))
"""The logarithm of the evidence at which there is an alarm."""
RATES = np.concatenate([np.arange(0, 0.4, 0.005), np.arange(0.4, 1.0, 0.02)])
"""Between which a confidence sequence is searched, in errors a word."""
PATIENCE_S = 14 * 86_400.0
"""A drawn utterance without a label counts as the worst that it can be after so long; before, the sequence waits."""
RESTARTS_IN = 3_000
"""Utterances for which the chance of a false alarm is `ALPHA`."""
CONCEPT_POINTS = 5.0
"""Errors of 100 words beyond the estimate that labels may show without an alarm."""
LEAST_UTTERANCES, LEAST_LABELS = 30, 20
"""Of a slice that is shown, and of one whose labels are."""
SPEAKERS_IN = 200
"""Utterances whose clients say how far luck alone may carry the WER."""
LUCK = 2.0
"""Standard deviations of that luck that are granted. With one and a half 2 of 500 trials of a lower level were harm."""
ACCEPTED_RISE = 0.02
"""Errors a word that live speech may have more than before."""
PREDICTED = 0.3
"""Of the errors that are plausible for an utterance at most, as a prediction for the bets on harm."""
MOST_OUTSIDE = 0.2
"""With a larger share of utterances unlike those of the fit the estimate is not to be trusted."""
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Sequence95:
    """A confidence sequence of the WER: between ``low`` and ``high`` errors a word with 95 %, at every look."""

    labels: int
    waiting: int
    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the utterances. ``wer`` with ``low`` and ``high`` is the estimate in errors a word; 90 % interval."""

    by: str
    value: str
    utterances: int
    wer: float
    low: float
    high: float
    outside: float
    labelled: Sequence95 | None


@dataclass(frozen=True, slots=True)
class Report:
    """The quality of one model's release. The first slice is all of the utterances."""

    name: str
    release: int
    accepted_wer: float
    slices: tuple[Slice, ...]

    def as_dict(self) -> dict[str, Any]:
        """For a program: one JSON object."""
        return asdict(self)


def model_file(ledger: Ledger, name: str) -> Path:
    """Where the model of errors is kept."""
    return ledger.releases_folder.parent / "quality" / f"{name}.json"


def model_of(ledger: Ledger, name: str) -> ErrorModel | None:
    """The model of errors; None before `asr quality fit`. Raises `ConfigError` for a broken file."""
    file = model_file(ledger, name)
    return load(file) if file.is_file() else None


Labels = Mapping[tuple[str, int], tuple[int, int]]
"""STREAM/UTTERANCE and release -> errors and words; the last label counts."""


def labels_of(ledger: Ledger, name: str) -> dict[tuple[str, int], tuple[int, int]]:
    """All labels of a model. Raises `LedgerError`."""
    return {(label.stream_id, label.release): (label.errors, label.words) for label in ledger.labels(name)}


def audit_of(draws: Sequence[Draw], labels: Labels, now_s: float) -> Audit:
    """The draws in their order, up to the first one whose label may still come."""
    found = [labels.get((draw.label_id, draw.release)) for draw in draws]
    count = next(
        (
            number
            for number, (draw, label) in enumerate(zip(draws, found, strict=True))
            if draw.is_drawn and label is None and draw.at_s > now_s - PATIENCE_S
        ),
        len(draws),
    )
    mine, known = draws[:count], found[:count]
    return Audit(
        np.array([draw.words for draw in mine], float),
        np.array([draw.expected_errors for draw in mine], float),
        np.array([draw.most_errors for draw in mine], float),
        np.array([draw.draw_probability for draw in mine], float),
        np.array([draw.is_drawn for draw in mine], bool),
        np.array([np.nan if label is None else label[0] for label in known], float),
        np.array([np.nan if label is None else label[1] for label in known], float),
    )


def scale_of(draws: Sequence[Draw]) -> float:
    """The largest scale of these draws: the bounds of the bets hold for all of them."""
    return max((draw.scale for draw in draws), default=1.0)


def sequence(draws: Sequence[Draw], labels: Labels, now_s: float) -> Sequence95:
    """What the labels of these draws prove about the WER."""
    audit = audit_of(draws, labels, now_s)
    count = int((audit.is_drawn & ~np.isnan(audit.errors)).sum())
    waiting = sum(draw.is_drawn for draw in draws) - count
    if not count:
        return Sequence95(0, waiting, 0.0, None)
    low, high = rate_sequence(audit, scale_of(draws), ALPHA, RATES)
    return Sequence95(count, waiting, float(low[-1]), float(high[-1]) if np.isfinite(high[-1]) else None)


def calm_until(ledger: Ledger, name: str, draws: Sequence[Draw]) -> int:
    """How many of these draws came before the first alarm of drift among them: what their clients had before."""
    rows = [draw.row for draw in draws]
    alarms = [alarm.evidence["row"] for alarm in ledger.alarms(name) if "row" in alarm.evidence]
    return bisect_right(rows, min((row for row in alarms if rows and row >= rows[0]), default=math.inf))


def accepted_rates(model: ErrorModel, draws: Sequence[Draw], calm: int) -> np.ndarray:
    """The accepted errors a word of each draw's client ``(n,)``: what it had before, `ACCEPTED_RISE`, and luck.

    Speakers lie far apart (15 points in en-crowd), so a client is compared with itself: with what the vitals said of
    it in the first ``calm`` draws, those before the alarm of drift, as far as they had come. Of a client without a
    past the mean of all is taken, and before any came that of the labelled sets. Luck is how far clients may lie from
    their estimates: `LUCK` deviations for those who said the last `SPEAKERS_IN` utterances. An accepted WER that a
    person gave is taken as it is.
    """
    accepted = float(model.about["accepted_wer"])
    if "speaker_spread" not in model.about:
        return np.full(len(draws), accepted)
    bias = model.speaker_sd**2
    spread = float(model.about["speaker_spread"]) ** 2 + bias
    place = np.unique([draw.client or draw.stream_id for draw in draws], return_inverse=True)[1].tolist()
    past = [_Past(spread) for _ in range(max(place, default=-1) + 1)]
    everybody, recent, square, total = _Past(spread), deque[tuple[_Past, float]](), 0.0, 0.0
    rates = np.empty(len(draws))
    for i, (draw, number) in enumerate(zip(draws, place, strict=True)):
        mine, words = past[number], model.words_ratio * max(draw.words, 1)
        usual = everybody.errors / everybody.words if everybody.words else accepted - ACCEPTED_RISE
        recent.append((mine, words))
        changes = [(mine, words)] + ([(each, -gone) for each, gone in [recent.popleft()]] if i >= SPEAKERS_IN else [])
        for each, change in changes:
            square += each.variance * change * (2 * each.said + change)
            each.said, total = each.said + change, total + change
        luck = model.dispersion * everybody.errors / everybody.words**2 if everybody.words else spread
        rates[i] = mine.rate(usual) + ACCEPTED_RISE + LUCK * math.sqrt(max(0.0, square) / total**2 + luck)
        if i < calm:
            before = mine.variance
            for each in (mine, everybody):
                each.errors, each.words = each.errors + draw.expected_errors, each.words + words
            mine.trust = spread / (spread + bias + model.dispersion * mine.errors / mine.words**2)
            mine.variance = spread * (1 - mine.trust)
            square += (mine.variance - before) * mine.said**2
    return rates


def accepted_lately(model: ErrorModel, draws: Sequence[Draw], rates: np.ndarray) -> float:
    """The accepted errors a word of the last `SPEAKERS_IN` draws; before any, those of the labelled sets."""
    if not len(rates):
        return float(model.about["accepted_wer"])
    return float(np.average(rates[-SPEAKERS_IN:], weights=[max(draw.words, 1) for draw in draws[-SPEAKERS_IN:]]))


@dataclass(slots=True)
class _Past:
    """What the vitals said of a client: expected errors and words, how far they count beside those of all, what they
    leave open, and the words that it ``said`` lately."""

    variance: float
    errors: float = 0.0
    words: float = 0.0
    trust: float = 0.0
    said: float = 0.0

    def rate(self, usual: float) -> float:
        return usual + self.trust * (self.errors / self.words - usual) if self.words else usual


def log_harm(draws: Sequence[Draw], labels: Labels, now_s: float, accepted: np.ndarray, calm: int) -> np.ndarray:
    """The evidence after each draw, up to the first that waits for a label, that the WER is above the accepted one
    ``(n,)``.

    New bets begin all the time with one half of the wealth. The other half waits for the alarm of drift, after
    ``calm`` draws: it is known then when a change began, so nothing has to be spread over a month.
    """
    audit = audit_of(draws, labels, now_s)
    low, _, bound, _ = audit_scores(audit, accepted[: len(audit.words)], scale_of(draws), PREDICTED)
    since = np.concatenate([np.zeros(min(calm, len(low))), log_wealth_of_small_bets(low[calm:], bound)])
    return np.asarray(np.logaddexp(log_wealth_of_small_bets(low, bound, RESTARTS_IN), since) - np.log(2))


def log_concept(draws: Sequence[Draw], labels: Labels, now_s: float) -> float:
    """The largest evidence so far that labels show more errors than the vitals explain."""
    scores, bound = residual_scores(audit_of(draws, labels, now_s), CONCEPT_POINTS / 100, scale_of(draws))
    return largest(log_wealth_of_small_bets(scores, bound, RESTARTS_IN))


def report(ledger: Ledger, name: str, now_s: float, utterances: int) -> Report | None:
    """The last utterances of the champion; None without a model of errors or an utterance. Raises `AsrError`."""
    model, champion = model_of(ledger, name), ledger.aliases(name).get(CHAMPION)
    rows = [row for row in ledger.last_vitals(name, utterances) if champion and row.release == champion.number]
    if model is None or champion is None or not rows:
        return None
    draws = [draw for draw in Draws(ledger).of_model(name) if draw.release == champion.number]
    labels = labels_of(ledger, name)
    slices = tuple(_slices(model, rows, draws, labels, now_s))
    rates = accepted_rates(model, draws, calm_until(ledger, name, draws))
    return Report(name, champion.number, accepted_lately(model, draws, rates), slices)


def _slices(
    model: ErrorModel, rows: Sequence[VitalsRow], draws: Sequence[Draw], labels: Labels, now_s: float
) -> Iterator[Slice]:
    numbers = np.array([row.numbers for row in rows])
    estimate = model.estimate(numbers, np.array([row.words for row in rows], float))
    conditions = [model.conditions[number] or "clean" for number in estimate.condition]
    clients = np.array([row.client or row.stream_id for row in rows])

    def of(by: str, value: str, mine: np.ndarray, chosen: Sequence[Draw]) -> Slice:
        window = model.window(estimate.part(mine), clients[mine])
        known = sum((draw.label_id, draw.release) in labels for draw in chosen)
        proof = sequence(chosen, labels, now_s) if known >= (LEAST_LABELS if by else 1) else None
        found = (window.utterances, window.wer, window.low, window.high, window.outside)
        return Slice(by, value, *found, labelled=proof)

    yield of("", "all", np.arange(len(rows)), draws)
    keys: dict[str, tuple[list[str], Callable[[Draw], str]]] = {
        "language": ([row.language for row in rows], lambda draw: draw.language),
        "client": ([row.client[:8] for row in rows], lambda draw: draw.client[:8]),
        "hour": ([_hour(row.at_s) for row in rows], lambda draw: _hour(draw.at_s)),
        "condition": (conditions, lambda draw: draw.condition or "clean"),
    }
    for by, (values, of_draw) in keys.items():
        column = np.array(values)
        for value in sorted(set(values) - {""}):
            mine = np.flatnonzero(column == value)
            if LEAST_UTTERANCES <= len(mine) < len(rows):
                yield of(by, value, mine, [draw for draw in draws if of_draw(draw) == value])


def _hour(at_s: float) -> str:
    return f"{int(at_s % 86_400 // HOUR_S):02d}"


def lines(found: Report) -> Iterator[str]:
    """For people: one line for each slice, in per cent."""
    whole = found.slices[0]
    yield f"{found.name}/{found.release}: {whole.utterances} utterances, accepted WER {100 * found.accepted_wer:.1f} %"
    if whole.outside > MOST_OUTSIDE:
        yield f"  {whole.outside:.0%} of them are unlike the labelled sets: the estimate says little, label some"
    for each in found.slices:
        label = f"{each.by} {each.value}".strip()
        text = f"  {label:<34} {each.utterances:>6}  estimated {_percent(each.wer, each.low, each.high)}"
        if each.labelled:
            proof = each.labelled
            high = "..." if proof.high is None else f"{100 * proof.high:.1f}"
            text += f"  {proof.labels} labels: {100 * proof.low:.1f} to {high} %"
            text += f", {proof.waiting} wait" if proof.waiting else ""
        yield text


def _percent(wer: float, low: float, high: float) -> str:
    return f"{100 * wer:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def speech(row: VitalsRow) -> bool:
    """Whether the utterance has any speech: others are no candidates for a label."""
    return bool(row.numbers[INDEX["speech_share"]] > 0)


def champion_of(ledger: Ledger, name: str) -> int:
    """Its number. Raises `LedgerError` if there is none."""
    champion = ledger.aliases(name).get(CHAMPION)
    if champion is None:
        raise LedgerError(f"{name} has no champion; wanted one: asr models promote")
    return champion.number
