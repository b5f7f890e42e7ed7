"""How good is a live release? Its WER from vitals alone, corrected by the labels that came, with what is sure.

The estimate needs no text (`eval.estimate`); it is wrong where live speech differs from the labelled sets in ways that
the numbers do not show. A few utterances are drawn for a person, each with a stored probability, and their labels
correct it (augmented inverse-propensity weighting; Robins, Rotnitzky and Zhao 1994): the result holds whatever the
estimate is worth. It is a confidence sequence, so that anybody may look after each label.
"""

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
"""Utterances whose speakers say how far luck alone may carry the WER."""
LUCK = 1.0
"""Standard deviations of that luck that are granted. An alarm takes labels that prove more than that: with one
deviation a thousand trials of harmless changes raised none (docs/log/watch.md), with half a one there were four."""
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


def accepted_rates(about: Mapping[str, Any], speakers: Sequence[str], words: np.ndarray) -> np.ndarray:
    """The accepted errors a word after each utterance ``(n,)``: those of `asr quality fit`, and what luck may add.

    Speakers lie far apart (``speaker_spread``), and the sets and live speech each have but some of them. So the WER of
    speech that is as good as ever depends on who speaks: much where five speakers said the last `SPEAKERS_IN`
    utterances, little where a hundred did. An accepted WER that a person gave is taken as it is.
    """
    accepted, spread = float(about["accepted_wer"]), float(about.get("speaker_spread", 0.0))
    if not spread:
        return np.full(len(words), accepted)
    place = np.unique(np.array(speakers), return_inverse=True)[1].tolist()
    weights = np.maximum(words, 1.0).tolist()
    said, squares, total, variance = [0.0] * len(place), 0.0, 0.0, np.empty(len(place))
    for i, (mine, weight) in enumerate(zip(place, weights, strict=True)):
        squares, total = squares + weight * (2 * said[mine] + weight), total + weight
        said[mine] += weight
        if i >= SPEAKERS_IN:
            old, left = place[i - SPEAKERS_IN], weights[i - SPEAKERS_IN]
            squares, total = squares - left * (2 * said[old] - left), total - left
            said[old] -= left
        variance[i] = squares / total**2
    return np.asarray(accepted + LUCK * spread * np.sqrt(1 / int(about["speakers"]) + variance))


def log_harm(draws: Sequence[Draw], labels: Labels, now_s: float, accepted: np.ndarray) -> float:
    """The largest evidence so far that the WER is above the accepted one ``(n,)``; new bets begin all the time."""
    audit = audit_of(draws, labels, now_s)
    low, _, bound, _ = audit_scores(audit, accepted[: len(audit.words)], scale_of(draws))
    return largest(log_wealth_of_small_bets(low, bound, RESTARTS_IN))


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
    accepted = accepted_rates(
        model.about, [row.client or row.stream_id for row in rows], np.array([row.words for row in rows])
    )
    return Report(name, champion.number, float(accepted[-1]), slices)


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
