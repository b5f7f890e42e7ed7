"""Errors without a text: from the vitals of an utterance to how many words of it are wrong, with an interval.

Gradient boosting (scikit-learn's histogram form, Poisson loss) of errors a recognised word, fitted on labelled
recordings under the evaluation's conditions. It uses numbers of the model, the text and the manner of speaking, with
the direction of each that has one, and none of the sound: so a condition that it never saw does not mislead it.

What remains wrong is in the interval: the luck of single utterances, speakers that differ from what their numbers say,
and conditions that were left out of the fit (each was left out once). The interval is then widened until it holds the
share of windows that it claims, on speakers left out.

A fitted model is a file of JSON with plain numbers (`save`, `load`): nothing in it can be executed, and predicting
needs no scikit-learn.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asr.errors import ConfigError
from asr.vitals.names import ACOUSTIC, INDEX, VERSION
from asr.vitals.recorder import BEFORE_S

if TYPE_CHECKING:  # it loads a model
    from eval.measured_vitals import MeasuredSet

FEATURES = (
    "confidence",
    "low_confidence",
    "unsure_share",
    "wordless",
    "loops",
    "restarts",
    "revised",
    "doubts",
    "length_s",
    "speech_share",
    "words_per_s",
    "pauses_per_s",
    "voiced",
    "tokens_per_word",
    "characters_per_word",
    "compression",
    "distinct",
)
"""The vitals that predict: none of the sound, which would learn the conditions of the fit by heart."""
DIRECTIONS = {
    "confidence": -1,
    "low_confidence": -1,
    "unsure_share": 1,
    "wordless": 1,
    "loops": 1,
    "restarts": 1,
    "revised": 1,
    "doubts": 1,
}
"""More of it cannot mean fewer errors (1), or more errors (-1)."""
FOLDS = 5
WINDOW = 200
"""Utterances of a window on which intervals are checked."""
LEVEL = 0.9
MOST_ERRORS = 20.0
"""An utterance counts with at most this number of errors; known beforehand, as the bets on labels need it."""
OUTSIDE = 0.99
"""Share of the labelled utterances that count as inside, those of speakers left out."""
_SPREADS = 3.0
"""Deviations above the expected errors that an utterance may have."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Utterances whose errors are known, ``(n,)`` each. ``numbers``: vitals ``(n, len(NAMES))``.

    ``recognised`` are the words of the model, ``words`` those of the reference. Speakers are numbered, and so are
    conditions: number 0 is no condition.
    """

    numbers: np.ndarray
    recognised: np.ndarray
    words: np.ndarray
    errors: np.ndarray
    speaker: np.ndarray
    condition: np.ndarray

    def part(self, rows: np.ndarray) -> "Labelled":
        """Some of the rows: a mask or indices."""
        return Labelled(*(getattr(self, each.name)[rows] for each in fields(self)))

    @property
    def wer(self) -> float:
        """Errors of all rows divided by their words: a share, not per cent."""
        return float(self.errors.sum() / max(1.0, self.words.sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Boosted trees with a logarithmic link. Nodes of all trees lie behind each other, ``(nodes,)`` each.

    A leaf has the feature -1. ``roots`` are the first nodes of the trees.
    """

    baseline: float
    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray

    def predict(self, values: np.ndarray) -> np.ndarray:
        """For values ``(n, features)``, NaN where one is unknown: ``(n,)``, above 0."""
        rows = np.arange(len(values))[:, None]
        node = np.broadcast_to(self.roots, (len(values), len(self.roots)))
        while (is_inner := self.feature[node] >= 0).any():
            mine = values[rows, np.maximum(self.feature[node], 0)]
            goes_left = np.where(np.isnan(mine), self.missing_left[node], mine <= self.threshold[node])
            node = np.where(is_inner, np.where(goes_left, self.left[node], self.right[node]), node)
        return np.asarray(np.exp(self.baseline + self.value[node].sum(axis=1)))


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What is expected of utterances ``(n,)`` each.

    Attributes:
        errors: Expected errors, at most `MOST_ERRORS`.
        words: Expected words of the correct text.
        spread: Standard deviation of the errors.
        most: More errors than this are not expected; at least 1.
        is_outside: Whether the utterance is unlike those that the model was fitted on.
        condition: Number of the condition that it is most like.
    """

    errors: np.ndarray
    words: np.ndarray
    spread: np.ndarray
    most: np.ndarray
    is_outside: np.ndarray
    condition: np.ndarray

    def part(self, rows: np.ndarray) -> "Estimate":
        """Some of the utterances: a mask or indices."""
        return Estimate(*(getattr(self, each.name)[rows] for each in fields(self)))


@dataclass(frozen=True, slots=True)
class Window:
    """The estimated WER of some utterances, in errors a word, with its interval. ``outside``: share of them."""

    utterances: int
    wer: float
    low: float
    high: float
    outside: float


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where the labelled utterances lie: medians, deviations, principal axes; and each condition's line.

    Attributes:
        center, scale: Of each acoustic number ``(a,)``.
        axes: Whitens what is centred and scaled: ``(a, a)``.
        limit: Squared distance beyond which an utterance is outside.
        weights, offsets: A linear discriminant of the conditions ``(c, a)``, ``(c,)``.
    """

    center: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    limit: float
    weights: np.ndarray
    offsets: np.ndarray

    def scaled(self, numbers: np.ndarray) -> np.ndarray:
        """Acoustic numbers of vitals, in deviations and at most 6 of them; 0 where one is unknown."""
        values = (numbers[:, _SOUND] - self.center) / self.scale
        return np.asarray(np.clip(np.nan_to_num(values, nan=0.0), -6.0, 6.0))

    def distance(self, numbers: np.ndarray) -> np.ndarray:
        """Squared distances from the center ``(n,)``."""
        return np.asarray(((self.scaled(numbers) @ self.axes) ** 2).sum(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class ErrorModel:
    """A fitted model.

    Attributes:
        about: What it was fitted on and how well it does, as JSON.
        conditions: Names of the conditions; "" is none.
        words_ratio: Words of the references for each recognised one.
        dispersion: Variance of the errors of one utterance for each expected one.
        speaker_sd: Deviation of a speaker's errors a word from what the numbers say.
        condition_sd: The same of a condition that was left out.
        widening: Factor of the interval.
    """

    about: Mapping[str, Any]
    conditions: tuple[str, ...]
    trees: Trees
    place: Place
    words_ratio: float
    dispersion: float
    speaker_sd: float
    condition_sd: float
    widening: float

    def estimate(self, numbers: np.ndarray, recognised: np.ndarray) -> Estimate:
        """For vitals ``(n, len(NAMES))`` and the recognised words ``(n,)``."""
        sound = self.place.scaled(numbers)
        errors = np.minimum(self.trees.predict(features_of(numbers)) * _exposure(recognised), MOST_ERRORS)
        spread = np.sqrt(self.dispersion * errors)
        return Estimate(
            errors,
            self.words_ratio * recognised,
            spread,
            most_errors(errors, spread),
            self.place.distance(numbers) > self.place.limit,
            (sound @ self.place.weights.T + self.place.offsets).argmax(axis=1),
        )

    def window(self, estimate: Estimate, speaker: np.ndarray) -> Window:
        """The WER of all these utterances; ``speaker`` ``(n,)`` says which are of one speaker or client."""
        words = max(1.0, float(estimate.words.sum()))
        wer = float(estimate.errors.sum()) / words
        half = self.widening * self._half(estimate, speaker)
        return Window(len(estimate.errors), wer, max(0.0, wer - half), wer + half, float(np.mean(estimate.is_outside)))

    def _half(self, estimate: Estimate, speaker: np.ndarray) -> float:
        words = np.bincount(np.unique(speaker, return_inverse=True)[1], estimate.words)
        total = max(1.0, float(words.sum()))
        own = (estimate.spread**2).sum() + self.speaker_sd**2 * (words**2).sum()
        return _Z * math.sqrt(float(own) / total**2 + self.condition_sd**2)


_Z = 1.6448536269514722
"""Two-sided 90 % of a normal distribution."""
_SOUND = np.array([INDEX[name] for name in ACOUSTIC])
_FEATURES = np.array([INDEX[name] for name in FEATURES])


def most_errors(expected: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """More errors than this are not expected ``(n,)``: at least 1, at most `MOST_ERRORS`."""
    return np.asarray(np.minimum(np.ceil(expected + _SPREADS * spread) + 1, MOST_ERRORS))


def recognised_words(numbers: np.ndarray) -> np.ndarray:
    """The model's words of vitals ``(n, len(NAMES))``, as `asr.vitals.recorder` derives its numbers from them."""
    share, rate, length_s, gap_s = (
        np.nan_to_num(numbers[:, INDEX[name]].astype(float))
        for name in ("speech_share", "words_per_s", "length_s", "gap_s")
    )
    measured_s = length_s + np.minimum(gap_s, BEFORE_S)
    return np.asarray(np.round(rate * share * measured_s))


def features_of(numbers: np.ndarray) -> np.ndarray:
    """`FEATURES` of vitals ``(n, len(NAMES))``."""
    return np.asarray(numbers[:, _FEATURES], float)


def _exposure(recognised: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(recognised, 1.0), float)


def labelled_of(sets: "Sequence[MeasuredSet]") -> tuple[Labelled, tuple[str, ...]]:
    """All recordings of measured sets, and the names of their conditions; "" is the first."""
    conditions = ("", *sorted({each.condition for each in sets} - {""}))
    speakers = [
        [name or f"{each.data} {number}" for number, name in enumerate(each.speakers.tolist())] for each in sets
    ]
    numbers = np.concatenate([each.numbers for each in sets])
    return Labelled(
        numbers,
        recognised_words(numbers),
        np.concatenate([each.words for each in sets]).astype(float),
        np.concatenate([each.errors for each in sets]).astype(float),
        np.unique(np.concatenate(speakers), return_inverse=True)[1],
        np.concatenate([np.full(len(each.words), conditions.index(each.condition)) for each in sets]),
    ), conditions


def fit(
    labelled: Labelled,
    conditions: Sequence[str],
    about: Mapping[str, Any],
    seed: int = 0,
    data: Sequence[str] = (),
) -> ErrorModel:
    """The model of labelled utterances. ``conditions`` are their names in the order of the numbers.

    Its ``about`` gets ``checks``: how right it is for each condition, and for each data set as it was recorded where
    ``data`` names the set of each utterance.

    Raises `ConfigError` if there are fewer than `WINDOW` utterances or fewer than 2 * `FOLDS` speakers.
    """
    speakers = np.unique(labelled.speaker)
    if len(labelled.errors) < WINDOW or len(speakers) < 2 * FOLDS:
        found = f"{len(labelled.errors)} utterances of {len(speakers)} speakers"
        raise ConfigError(f"found {found}, wanted {WINDOW} of {2 * FOLDS} speakers or more: give further sets")
    fold = folds(labelled.speaker, seed)
    errors = np.minimum(labelled.errors, MOST_ERRORS)
    known = _left_out(labelled, lambda number: fold == number)
    unseen = unseen_conditions(labelled, fold, known)
    dispersion = float(((errors - known) ** 2).sum() / known.sum())
    biases = [
        _ratio((errors - unseen)[mine], labelled.words[mine])
        for mine in (labelled.condition == number for number in range(1, len(conditions)))
        if mine.any()
    ]
    model = ErrorModel(
        about={**about, "features": list(FEATURES), "seed": seed},
        conditions=tuple(conditions),
        trees=boosted(labelled),
        place=_place(labelled, len(conditions)),
        words_ratio=float(labelled.words.sum() / max(1.0, labelled.recognised.sum())),
        dispersion=dispersion,
        speaker_sd=_speaker_sd(labelled, errors - known, dispersion, known),
        condition_sd=float(np.sqrt(np.mean(np.square(biases)))) if biases else 0.0,
        widening=1.0,
    )
    model = _widened(model, labelled, unseen, seed)
    checks = list(_checks(model, labelled, known, unseen, seed + 1))
    checks += _set_checks(model, labelled, known, data, seed + 1)
    return replace(model, about={**model.about, "checks": checks})


def folds(speaker: np.ndarray, seed: int) -> np.ndarray:
    """A fold from 0 to `FOLDS` - 1 for each utterance; all of a speaker's are in one."""
    names, place = np.unique(speaker, return_inverse=True)
    return np.asarray((np.random.default_rng(seed).permutation(len(names)) % FOLDS)[place])


def unseen_conditions(labelled: Labelled, fold: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Expected errors ``(n,)`` of models that saw neither the speaker nor the condition; clean speech they saw.

    ``known``: those of models that saw the condition, where they were made before.
    """
    expected = _left_out(labelled, lambda number: fold == number) if known is None else known.copy()
    for condition in np.unique(labelled.condition[labelled.condition > 0]):
        mine = labelled.condition == condition
        others = _left_out(labelled, lambda number: fold == number, without=mine)
        expected[mine] = others[mine]
    return expected


def _left_out(
    labelled: Labelled, fold_is: Callable[[int], np.ndarray], without: np.ndarray | None = None
) -> np.ndarray:
    """Expected errors of each fold by a model of the others; rows ``without`` are in no fit."""
    expected = np.zeros(len(labelled.errors))
    for number in range(FOLDS):
        out = fold_is(number)
        rows = ~out if without is None else ~out & ~without
        wanted = out if without is None else out & without
        if wanted.any() and rows.any():
            rates = boosted(labelled.part(rows)).predict(features_of(labelled.numbers[wanted]))
            expected[wanted] = np.minimum(rates * _exposure(labelled.recognised[wanted]), MOST_ERRORS)
    return expected


def boosted(labelled: Labelled) -> Trees:
    """Trees for the errors a recognised word."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    words = _exposure(labelled.recognised)
    model = HistGradientBoostingRegressor(
        loss="poisson",
        max_iter=40,
        learning_rate=0.15,
        max_leaf_nodes=8,
        max_bins=32,
        min_samples_leaf=30,
        l2_regularization=5.0,
        early_stopping=False,
        monotonic_cst=[DIRECTIONS.get(name, 0) for name in FEATURES],
    )
    rates = np.minimum(labelled.errors, MOST_ERRORS) / words
    with threadpool_limits(1):  # a few thousand rows: threads would wait for each other
        model.fit(features_of(labelled.numbers), rates, sample_weight=words)
    return trees_of(model)


def trees_of(model: Any) -> Trees:
    """The nodes of a fitted `HistGradientBoostingRegressor`, whose version is pinned: scikit-learn names no public way.

    A test compares the predictions of both.
    """
    nodes = [predictors[0].nodes for predictors in model._predictors]
    roots = np.cumsum([0, *map(len, nodes)])
    offset = np.repeat(roots[:-1], np.diff(roots))
    joined = np.concatenate(nodes)
    return Trees(
        float(np.ravel(model._baseline_prediction)[0]),
        roots[:-1],
        np.where(joined["is_leaf"], -1, joined["feature_idx"]),
        joined["num_threshold"],
        joined["missing_go_to_left"].astype(bool),
        joined["left"] + offset,
        joined["right"] + offset,
        np.where(joined["is_leaf"], joined["value"], 0.0),
    )


def _place(labelled: Labelled, conditions: int) -> Place:
    from sklearn.covariance import LedoitWolf
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    sound = labelled.numbers[:, _SOUND].astype(float)
    center = np.nan_to_num(np.nanmedian(sound, axis=0))
    scale = np.maximum(np.nan_to_num(np.nanstd(sound, axis=0), nan=1.0), 1e-3)
    width = len(_SOUND)
    place = Place(center, scale, np.eye(width), math.inf, np.zeros((1, width)), np.zeros(1))
    values = place.scaled(labelled.numbers)
    whitener = LedoitWolf(assume_centered=True).fit(values)
    axes = np.linalg.cholesky(whitener.precision_)
    limit = float(np.quantile(((values @ axes) ** 2).sum(axis=1), OUTSIDE))
    weights, offsets = np.zeros((conditions, width)), np.full(conditions, -math.inf)
    present = np.unique(labelled.condition)
    if len(present) > 1:
        found = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(values, labelled.condition)
        is_pair = len(present) == 2  # then scikit-learn gives one line: of the second class
        weights[present] = np.vstack([-found.coef_, found.coef_]) / 2 if is_pair else found.coef_
        offsets[present] = np.concatenate([-found.intercept_, found.intercept_]) / 2 if is_pair else found.intercept_
    else:
        offsets[present] = 0.0
    return Place(center, scale, axes, limit, weights, offsets)


def _speaker_sd(labelled: Labelled, residual: np.ndarray, dispersion: float, expected: np.ndarray) -> float:
    """By moments: what the squared sums of a speaker's residuals exceed the luck of single utterances by."""
    groups = np.unique(labelled.speaker, return_inverse=True)[1]
    sums, words, luck = (np.bincount(groups, each) for each in (residual, labelled.words, dispersion * expected))
    return float(np.sqrt(max(0.0, (sums**2 - luck).sum()) / np.maximum(1.0, (words**2).sum())))


def rate_of_speakers(labelled: Labelled, dispersion: float) -> tuple[float, float, int]:
    """Errors a word where each speaker says as much as any other, how far speakers lie apart, and how many they are.

    The second is the standard deviation of their errors a word, without the luck of single utterances, by moments.
    Means over recordings say something else: whoever gave many recordings decides them.
    """
    groups = np.unique(labelled.speaker, return_inverse=True)[1]
    count, errors, words = (np.bincount(groups, each) for each in (None, labelled.errors, labelled.words))
    rates, luck = errors / np.maximum(1.0, words), dispersion * errors / np.maximum(1.0, words) ** 2
    spread = math.sqrt(max(0.0, float(rates.var() - luck.mean())))
    return _ratio(errors / count, words / count), spread, len(count)


def _ratio(above: np.ndarray, below: np.ndarray) -> float:
    return float(above.sum() / max(1.0, below.sum()))


def _widened(model: ErrorModel, labelled: Labelled, expected: np.ndarray, seed: int) -> ErrorModel:
    """Widens the interval until it holds `LEVEL` of the windows of each condition on average, never narrower."""
    ratios = []
    for _, wer, estimate, speaker in windows(model, labelled, expected, seed):
        half = model._half(estimate, speaker)
        ratios.append(abs(wer - float(estimate.errors.sum() / max(1.0, estimate.words.sum()))) / half)
    return replace(model, widening=max(1.0, float(np.quantile(ratios, LEVEL)))) if ratios else model


def windows(
    model: ErrorModel,
    labelled: Labelled,
    expected: np.ndarray,
    seed: int,
    count: int = 40,
    group: np.ndarray | None = None,
) -> Iterator[tuple[int, float, Estimate, np.ndarray]]:
    """Windows of `WINDOW` utterances of one group each: its number, true WER, estimate, speakers.

    Groups ``(n,)`` are the conditions by default; -1 is in none. ``expected`` are errors by models that have not seen
    the speakers, so the windows are of unseen ones.
    """
    rng = np.random.default_rng(seed)
    group = labelled.condition if group is None else group
    for number in np.unique(group[group >= 0]):
        rows = np.flatnonzero(group == number)
        speakers = np.unique(labelled.speaker[rows])
        if len(speakers) < FOLDS:
            continue
        for _ in range(count):
            picked = _window_of(rows, labelled.speaker[rows], rng)
            part = labelled.part(picked)
            estimate = model.estimate(part.numbers, part.recognised)
            spread = np.sqrt(model.dispersion * expected[picked])
            mine = replace(estimate, errors=expected[picked], spread=spread)
            yield int(number), part.wer, mine, part.speaker


def _checks(
    model: ErrorModel, labelled: Labelled, seen: np.ndarray, unseen: np.ndarray, seed: int
) -> Iterator[dict[str, Any]]:
    """How right windows of unseen speakers are, for each condition, and with it left out of the fit too (``unseen``).

    ``error`` is the mean distance of estimate and truth in errors a word, ``held`` the share of the windows whose
    interval holds the truth, ``outside`` the share of utterances that are unlike those of the fit.
    """
    found = [_checked(model, labelled, expected, seed) for expected in (seen, unseen)]
    for number in sorted(found[0]):
        known, left_out = found[0][number], found[1][number]
        yield {
            "condition": model.conditions[number],
            "wer": labelled.part(labelled.condition == number).wer,
            "error": known[0],
            "error_left_out": left_out[0],
            "held": known[1],
            "held_left_out": left_out[1],
            "outside": known[2],
        }


def _set_checks(
    model: ErrorModel, labelled: Labelled, expected: np.ndarray, data: Sequence[str], seed: int
) -> Iterator[dict[str, Any]]:
    """The same for each data set as it was recorded, where there are several: together they may hide each other."""
    names = sorted(set(data))
    if len(names) < 2:
        return
    group = np.where(labelled.condition == 0, [names.index(name) for name in data], -1)
    for number, (error, held, outside) in sorted(_checked(model, labelled, expected, seed, group).items()):
        wer = labelled.part(group == number).wer
        found = {"wer": wer, "error": error, "held": held, "outside": outside}
        yield {"data": names[number], "condition": "", **found}


def _checked(
    model: ErrorModel, labelled: Labelled, expected: np.ndarray, seed: int, group: np.ndarray | None = None
) -> dict[int, np.ndarray]:
    """Group (the condition by default) -> mean error, share of intervals that hold, share outside."""
    rows: dict[int, list[tuple[float, bool, float]]] = {}
    for number, wer, estimate, speaker in windows(model, labelled, expected, seed, group=group):
        window = model.window(estimate, speaker)
        error, is_held = abs(window.wer - wer), window.low <= wer <= window.high
        rows.setdefault(number, []).append((error, is_held, window.outside))
    return {number: np.mean(np.array(each, float), axis=0) for number, each in rows.items()}


def _window_of(rows: np.ndarray, speaker: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Utterances of speakers in random order, all of one before the next, until the window is full."""
    names, place = np.unique(speaker, return_inverse=True)
    chosen = [rows[place == number] for number in rng.permutation(len(names))]
    return np.concatenate(chosen)[:WINDOW]


def save(path: Path, model: ErrorModel) -> str:
    """Writes the model as JSON in one step; returns its SHA-256. Raises `ConfigError` where that fails."""
    table = {
        "format": 1,
        "vitals": VERSION,
        **{name: getattr(model, name) for name in ("about", "conditions", *_NUMBERS)},
        "trees": _plain(asdict(model.trees)),
        "place": _plain(asdict(model.place)),
    }
    data = (json.dumps(table, allow_nan=True) + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); wanted a file in a folder that can") from None
    return hashlib.sha256(data).hexdigest()


_NUMBERS = ("words_ratio", "dispersion", "speaker_sd", "condition_sd", "widening")
_KINDS = {"roots": int, "feature": int, "left": int, "right": int, "missing_left": bool}


def load(path: Path) -> ErrorModel:
    """The model of a file. Raises `ConfigError` for one that is none, or is of other vitals."""
    try:
        table = json.loads(path.read_bytes())
        if table["format"] != 1 or table["vitals"] != VERSION or table["about"]["features"] != list(FEATURES):
            raise ValueError("it was fitted by another version")
        parts = {
            kind: {name: _array(name, value) for name, value in table[kind.__name__.lower()].items()}
            for kind in (Trees, Place)
        }
        numbers = {name: float(table[name]) for name in _NUMBERS}
        model = ErrorModel(
            about=table["about"],
            conditions=tuple(table["conditions"]),
            trees=Trees(**parts[Trees]),
            place=Place(**parts[Place]),
            **numbers,
        )
        _check(model)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ConfigError(f"{path} is no model of errors ({error}); wanted a new one: asr quality fit") from None
    return model


def _check(model: ErrorModel) -> None:
    """Raises `ValueError` for trees in which a walk would not end, or whose nodes are not there."""
    trees = model.trees
    nodes = np.arange(len(trees.feature))
    inner = trees.feature >= 0
    for child in (trees.left[inner], trees.right[inner]):
        if (child <= nodes[inner]).any() or (child >= len(nodes)).any():
            raise ValueError("its trees are broken")
    if (trees.feature >= len(FEATURES)).any() or len({len(getattr(trees, n)) for n in _NODE_ARRAYS}) != 1:
        raise ValueError("its trees are broken")
    if model.place.weights.shape != (len(model.conditions), len(_SOUND)):
        raise ValueError("its conditions are broken")


_NODE_ARRAYS = ("feature", "threshold", "missing_left", "left", "right", "value")


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in table.items()}


def _array(name: str, value: Any) -> Any:
    return np.array(value, _KINDS.get(name, float)) if isinstance(value, list) else float(value)
